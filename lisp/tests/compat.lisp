;;;; HydraMesh's package: the node of hydramesh-code.lisp, and the contract itself.

(in-package #:dcf-thunderbolt/tests)

(in-suite compat)

(defmacro with-node ((node) &body body)
  `(let ((,node (mesh-node:start-node "lo" 0 0)))
     (unwind-protect (progn ,@body)
       (mesh-node:stop-node ,node))))

(defun logged-p (node level text)
  (find-if (lambda (entry)
             (and (eq level (first entry)) (search text (second entry))))
           (mesh-node:node-log node)))

(defun counts (node)
  "What NODE reports, without the uptime, which depends on how busy the machine is."
  (let ((report (mesh-node:report node)))
    (is (typep (first (last report)) '(integer 0)))
    (butlast report)))

(test a-node
  (with-node (node)
    (is-true (logged-p node :info "Initialized interface lo"))
    (is (= 3 (mesh-node:heartbeat node "::1%lo" 7)))
    (eventually (mesh-node:node-inbox node))
    (let ((message (first (mesh-node:node-inbox node))))
      (is (equalp #(1 7 255) message))
      (is (typep message '(simple-array (unsigned-byte 8) (*)))))
    (let ((payload (pattern 3000000)))
      (is (= (mod (reduce #'+ payload) 256)
             (mesh-node:upload node "::1%lo" payload))))
    (destructuring-bind (received stream) (first (mesh-node:node-uploads node))
      (is (= 3000000 received))
      (eventually (not (open-stream-p stream)) "it is closed after its handler"))
    (is (typep (mesh-node:latency node "::1%lo") '(double-float (0d0))))
    (is (equal '(1 1 3 3 1 1 0) (counts node)))
    (dcf.transport.thunderbolt:reset-transport-stats (mesh-node:node-transport node))
    (is (equal '(0 0 0 0 0 0 0) (counts node)))))

(test a-node-with-failing-handlers
  (with-node (node)
    (is-true (search "Thunderbolt transport error: " (mesh-node:heartbeat node "nowhere" 1)))
    (is-true (search "nowhere" (mesh-node:heartbeat node "nowhere" 1)))
    (is-true (search "no-such-if" (mesh-node:heartbeat node "fe80::1%no-such-if" 1)))
    ;; Its handler refuses this one; it is logged and counted, and the next is handled.
    (is (= 3 (mesh-node:greet node "::1%lo" #(0 0 0))))
    (mesh-node:heartbeat node "::1%lo" 9)
    (eventually (mesh-node:node-inbox node))
    (is (= 1 (length (mesh-node:node-inbox node))))
    (is-true (logged-p node :error "Three zeros are not allowed"))
    (is (= 4 (nth 6 (mesh-node:report node))) "three sends, one handler")
    ;; A peer whose stream is too short makes the handler fail.
    (close (dcf.transport.thunderbolt:open-data-stream (mesh-node:node-transport node) "::1%lo"))
    (eventually (= 5 (nth 6 (mesh-node:report node))))
    (is (null (mesh-node:node-uploads node))))
  (signals dcf.transport.thunderbolt:transport-error
    (mesh-node:start-node "no-such-if" 5000 5001)))

(test a-node-that-is-closed
  (let ((node (mesh-node:start-node "lo" 0 0)))
    (mesh-node:stop-node node)
    (mesh-node:stop-node node)
    (is (= 1 (count "Transport closed" (mesh-node:node-log node) :key #'second :test #'equal)))
    (is (stringp (mesh-node:heartbeat node "::1%lo" 1)))
    (signals dcf.transport.thunderbolt:transport-error (mesh-node:latency node "::1%lo"))
    (signals dcf.transport.thunderbolt:transport-error (mesh-node:report node))
    (signals dcf.transport.thunderbolt:transport-error
      (dcf.transport.thunderbolt:reset-transport-stats (mesh-node:node-transport node)))
    (signals dcf.transport.thunderbolt:transport-error
      (mesh-node:upload node "::1%lo" #(1)))))

;;; The contract

(defmacro with-drop-in ((variable &rest options) &body body)
  `(let ((,variable (dcf.transport.thunderbolt:make-thunderbolt-transport
                     :interface "lo" :control-port 0 :data-port 0 ,@options)))
     (unwind-protect (progn ,@body)
       (dcf.transport.thunderbolt:close-transport ,variable))))

(test exactly-nine-exports
  (let ((names '()))
    (do-external-symbols (symbol '#:dcf.transport.thunderbolt)
      (push (symbol-name symbol) names))
    (is (equal '("CLOSE-TRANSPORT" "GET-TRANSPORT-STATS" "MAKE-THUNDERBOLT-TRANSPORT" "MEASURE-RTT"
                 "OPEN-DATA-STREAM" "RESET-TRANSPORT-STATS" "SEND-MESSAGE" "THUNDERBOLT-TRANSPORT"
                 "TRANSPORT-ERROR")
               (sort names #'string<))))
  (dolist (operation '(dcf.transport.thunderbolt:send-message
                       dcf.transport.thunderbolt:open-data-stream
                       dcf.transport.thunderbolt:close-transport
                       dcf.transport.thunderbolt:get-transport-stats
                       dcf.transport.thunderbolt:reset-transport-stats
                       dcf.transport.thunderbolt:measure-rtt))
    (is (typep (fdefinition operation) 'generic-function) "~S" operation))
  (is-true (typep (find-class 'dcf.transport.thunderbolt:thunderbolt-transport) 'standard-class))
  (is-true (subtypep 'dcf.transport.thunderbolt:transport-error 'error)))

(test how-errors-print
  (flet ((printed (&rest arguments)
           (princ-to-string (apply #'make-condition 'dcf.transport.thunderbolt:transport-error
                                   arguments))))
    (is (string= "Thunderbolt transport error: no luck" (printed :text "no luck")))
    (is (string= "Thunderbolt transport error: no luck (errno: 19)"
                 (printed :text "no luck" :errno 19)))))

(test what-can-be-sent
  (with-drop-in (transport)
    (flet ((send (data &optional (peer "::1%lo"))
             (dcf.transport.thunderbolt:send-message transport data peer)))
      (is (= 5 (send #(1 2 3 4 5))))
      (is (= 0 (send #())))
      (is (= 5 (send (octets 1 2 3 4 5))))
      (is (= 5 (send (make-array 5 :initial-element 7))))
      (is (= 3 (send (make-array 9 :element-type '(unsigned-byte 8) :adjustable t :fill-pointer 3
                                   :initial-element 1))))
      (is (= 4 (send (make-array 4 :element-type '(unsigned-byte 8)
                                   :displaced-to (octets 1 2 3 4 5 6)
                                   :displaced-index-offset 1))))
      (is (= 65507 (send (pattern 65507))))
      (dolist (bad (list (pattern 65508) '(1 2 3) "text" #(1 256) #(1 -1) #(1 :two) nil))
        (signals dcf.transport.thunderbolt:transport-error (send bad)))
      (dolist (peer (list "invalid-address" "" "1.2.3.4" "fe80::1%nonexistent" nil :here))
        (signals dcf.transport.thunderbolt:transport-error (send #(1) peer))))))

(test errno-of-a-system-failure
  (with-drop-in (transport)
    (handler-case (progn (dcf.transport.thunderbolt:open-data-stream transport "[::1%lo]:1")
                         (fail "nothing listens there"))
      (dcf.transport.thunderbolt:transport-error (condition)
        (is-true (search "(errno: 111)" (princ-to-string condition)))))))

(test statistics-in-order
  (with-drop-in (transport)
    (is (equal '(:messages-sent :messages-received :bytes-sent :bytes-received
                 :connections-accepted :connections-initiated :errors :uptime)
               (loop for (name value)
                       on (dcf.transport.thunderbolt:get-transport-stats transport) by #'cddr
                     collect name
                     do (is (integerp value)))))))

(test round-trips-or-nil
  (with-drop-in (transport)
    (is (typep (dcf.transport.thunderbolt:measure-rtt transport "::1%lo" :payload-size 64)
               'double-float))
    (call-with-silent-peer
     (lambda (peer)
       (is (null (dcf.transport.thunderbolt:measure-rtt transport peer :timeout 0.05)))))
    (is (null (dcf.transport.thunderbolt:measure-rtt transport "[fe80::1%lo]:5000" :timeout 0.05))
        "no link-local network there")
    (signals dcf.transport.thunderbolt:transport-error
      (dcf.transport.thunderbolt:measure-rtt transport "invalid" :timeout 0.05))
    (signals dcf.transport.thunderbolt:transport-error ; the port is one that the kernel chose
      (dcf.transport.thunderbolt:measure-rtt transport "fe80::1%lo" :timeout 0.05))))

(test as-the-plugin-manager-makes-it
  (let* ((box (make-instance 'box))
         (transport (make-instance 'dcf.transport.thunderbolt:thunderbolt-transport
                                   :config (list :interface "lo" :control-port 0 :data-port 0
                                                 :unknown 1)
                                   :message-handler (lambda (type data)
                                                      (put (list type data) box)))))
    (unwind-protect
         (progn
           (dcf.transport.thunderbolt:send-message transport #(1 2) "::1%lo")
           (eventually (equalp '((:control-message #(1 2))) (contents box))))
      (dcf.transport.thunderbolt:close-transport transport))))

(test without-a-handler
  "Messages are counted, and streams are closed."
  (with-drop-in (transport)
    (dcf.transport.thunderbolt:send-message transport #(1 2) "::1%lo")
    (let ((stream (dcf.transport.thunderbolt:open-data-stream transport "::1%lo")))
      (is (null (read-byte stream nil)))
      (close stream))
    (eventually (= 1 (getf (dcf.transport.thunderbolt:get-transport-stats transport)
                           :messages-received)))))

(test a-logger-that-fails
  (with-drop-in (transport :logger (lambda (level message)
                                     (error "~A ~A" level message)))
    (is (= 1 (dcf.transport.thunderbolt:send-message transport #(1) "::1%lo")))))

(defparameter *plugin-manager*
  "(defpackage #:dcf.plugin-manager (:use #:common-lisp) (:export #:register-transport))"
  "A stand-in for DCF's plugin manager, with the functions that the drop-in uses.")

(test registration
  (with-directory (directory)
    (let ((environment (format nil "DCF_THUNDERBOLT_LIBRARY=~A" (loaded-library))))
      (is-true
       (search
        "(\"thunderbolt\" 3)"
        (run-lisp
         `(,*plugin-manager*
           "(defvar *registered* nil)"
           "(defun dcf.plugin-manager:register-transport (name factory)
              (setf *registered* (list name factory)))"
           "(asdf:load-system \"dcf-thunderbolt/compat\")"
           "(destructuring-bind (name factory) *registered*
              (let* ((transport (funcall factory '(:interface \"lo\" :control-port 0 :data-port 0)
                                         :message-handler (function list)))
                     (sent (uiop:symbol-call '#:dcf.transport.thunderbolt '#:send-message
                                             transport #(1 2 3) \"::1%lo\")))
                (uiop:symbol-call '#:dcf.transport.thunderbolt '#:close-transport transport)
                (print (list name sent))
                (terpri)))")
         directory environment)))
      ;; A package without the function is not a plugin manager.
      (is-true
       (search "loaded" (run-lisp `(,*plugin-manager*
                                    "(asdf:load-system \"dcf-thunderbolt/compat\")"
                                    "(princ \"loaded\")"
                                    "(terpri)")
                                  directory environment))))))
