;;;; With a second host, set up by the test driver. On it a C program echoes, through the library,
;;;; or the peer of plain sockets does. Questions to the driver are lines that begin with "? "; it
;;;; answers each with a line.

(in-package #:dcf-thunderbolt/tests)

(defun ask (question)
  "Asks the driver, and returns its answer."
  (format t "~&? ~A~%" question)
  (finish-output)
  (or (read-line *standard-input* nil)
      (error "the driver did not answer ~S" question)))

;;; The library on both hosts

(in-suite two-hosts)

(test discovery
  (let ((peer (ask "address")))
    (with-transport (transport)
      (is (string= "thunderbolt0" (transport-interface transport)))
      (is (equal '(5000 5001) (multiple-value-list (transport-ports transport))))
      (is (equal 1 (length (discover transport :timeout 1000000 :most 1))) "the first is enough")
      (let ((found (discover transport :timeout 0.5)))
        (is (equal (list peer) (loop for one in found collect (getf one :address))))
        (is (< 0 (getf (first found) :rtt) 1)))
      (is (typep (measure-rtt transport peer :timeout +generous+) 'double-float))
      (let ((summary (ping transport peer :count 100 :timeout +generous+)))
        (is (= 100 (getf summary :received)))))))

(test messages-there-and-back
  (let ((peer (ask "address")))
    (with-transport (transport)
      (dolist (size '(0 1 64 1500 65507))
        (send-message transport (pattern size) peer)
        (multiple-value-bind (octets sender) (receive-message transport :timeout +generous+)
          (is (equalp (pattern size) octets))
          (is (string= peer sender)))))))

(test streams-there-and-back
  (let ((peer (ask "address")))
    (with-transport (transport)
      (with-data-stream (stream transport peer)
        (let* ((octets (pattern 10000000))
               (back (make-array 10000000 :element-type '(unsigned-byte 8)))
               (reading (in-thread (read-sequence back stream))))
          (write-sequence octets stream)
          (finish-data-stream stream)
          (is (= 10000000 (funcall reading)))
          (is (equalp octets back))
          (is (null (read-byte stream nil))))))))

(test files-there-and-back
  (let ((peer (ask "address")))
    (with-directory (directory)
      (with-transport (transport)
        (let ((from (write-file (merge-pathnames "from" directory) (pattern 5000000)))
              (to (merge-pathnames "to" directory)))
          (with-data-stream (stream transport peer)
            (let ((receiving (in-thread (receive-file stream to))))
              (is (= 5000000 (send-file stream from)))
              (finish-data-stream stream)
              (is (eql 5000000 (funcall receiving)))))
          (is (equalp (read-file from) (read-file to))))))))

(test the-cable-is-pulled-and-plugged-in
  "Calls signal that the link is down, and then the same transport works again."
  (let ((peer (ask "address")))
    (with-transport (transport)
      (is-true (transport-link-up-p transport))
      (is-true (wait-link transport :timeout 0))
      (is (null (wait-link transport :up nil :timeout 0.01)))
      (let ((waiting (in-thread (wait-link transport :up nil :timeout +generous+))))
        (ask "unplug")
        (is-true (funcall waiting)))
      (is-false (transport-link-up-p transport))
      (is (null (wait-link transport :timeout 0.2)))
      (signals link-down-error (send-message transport (octets 1) peer))
      (ask "plug")
      (let ((tries 0))
        ;; The restart is there for this.
        (handler-bind ((link-down-error (lambda (condition)
                                          (when (< (incf tries) 3000)
                                            (sleep 0.01)
                                            (try-again condition)))))
          (send-message transport (octets 1 2 3) peer)))
      ;; The other host may learn of the cable later, so this may take more than one.
      (eventually (progn
                    (ignore-errors (send-message transport (octets 1 2 3) peer))
                    (equalp (octets 1 2 3) (receive-message transport :timeout 0.1)))))))

(test link-changes-are-reported
  "In order, on a Lisp thread; errors are contained; after a close no event follows."
  (let ((box (make-instance 'box))
        (errors (make-instance 'box)))
    (with-transport (transport :link-handler (lambda (up name)
                                               (put (list up name) box)
                                               (unless up
                                                 (error "down")))
                               :error-handler (lambda (condition)
                                                (put (princ-to-string condition) errors)))
      (dotimes (i 2)
        (ask "unplug")
        (eventually (= (+ 1 (* 2 i)) (length (contents box))))
        (is-false (transport-link-up-p transport))
        (ask "plug")
        (eventually (= (+ 2 (* 2 i)) (length (contents box))))
        (is-true (transport-link-up-p transport)))
      (is (equal '((nil "thunderbolt0") (t "thunderbolt0") (nil "thunderbolt0") (t "thunderbolt0"))
                 (contents box)))
      (is (equal '("down" "down") (contents errors))))
    (ask "unplug")
    (ask "plug")
    (is (= 4 (length (contents box))))))

(test records-and-link-changes-keep-their-order
  (let ((box (make-instance 'box)))
    (with-transport (transport :log-handler (lambda (level text)
                                              (when (eq level :warn)
                                                (put (if (search "is down" text) :said :other) box)))
                               :link-handler (lambda (up name)
                                               (declare (ignore name))
                                               (put up box)))
      (ask "unplug")
      (eventually (not (transport-link-up-p transport)))
      (ask "plug")
      (eventually (transport-link-up-p transport))
      (eventually (find t (contents box))))
    ;; While the link comes back up, it may be down for other reasons.
    (is (equal '(:said nil t)
               (remove-duplicates (remove :other (contents box)) :from-end t)))))

(test a-link-handler-may-close-its-transport
  (let ((closed (make-instance 'box))
        (transport nil))
    (setf transport (open-transport :link-handler (lambda (up name)
                                                    (declare (ignore up name))
                                                    (put (close-transport transport) closed))))
    (ask "unplug")
    (eventually (contents closed))
    (is (equal '(t) (contents closed)))
    (is-false (transport-open-p transport))
    (is (null (close-transport transport)))
    (ask "plug")
    (with-transport (again)
      (eventually (transport-link-up-p again)))))

;;; Plain sockets on the other host, and docs/WIRE.md between the two

(in-suite wire)

(defun tell (command)
  "Has the plain peer execute a command, which fails on any deviation."
  (is (string= "done" (ask command)) "the peer did not ~A" command))

(test plain-messages
  (let ((peer (ask "address")))
    (with-transport (transport)
      (dolist (octets (list (octets) (octets 1) (pattern 17) (pattern 65507)
                            ;; Almost a ping.
                            (octets 0 0 0 #x52 #x54 #x54 #x50 #x54 1 2 3 4 5 6 7)))
        (send-message transport octets peer)
        (multiple-value-bind (back sender) (receive-message transport :timeout +generous+)
          (is (equalp octets back))
          (is (string= peer sender)))))
    (let ((transport nil))
      (setf transport (open-transport :message-handler (lambda (octets sender)
                                                         (send-message transport octets sender))))
      (unwind-protect (tell "send")
        (close-transport transport)))))

(test plain-round-trips
  "The plain peer answers from its handler, to the control port."
  (let ((peer (ask "address")))
    (with-transport (transport)
      (dotimes (i 10)
        (is (typep (measure-rtt transport peer :timeout +generous+) 'double-float)))
      (is (null (receive-message transport :timeout 0)) "pongs are no messages")
      (tell "ping")
      (is (null (receive-message transport :timeout 0)) "nor are pings")
      (is (= 3 (getf (statistics transport) :pings-answered))))))

(test plain-streams
  (let ((peer (ask "address")))
    (with-transport (transport :stream-handler #'echo)
      (with-data-stream (stream transport peer)
        (let* ((octets (pattern 1000000))
               (back (make-array 1000000 :element-type '(unsigned-byte 8)))
               (reading (in-thread (read-sequence back stream))))
          (write-sequence octets stream)
          (finish-data-stream stream)
          (is (= 1000000 (funcall reading)))
          (is (equalp octets back))
          (is (null (read-byte stream nil)))))
      (tell "stream"))))

(test plain-messages-for-hydramesh-code
  "The same peer, and the node that knows the drop-in only."
  (let ((peer (ask "address"))
        (node (mesh-node:start-node "thunderbolt0" 5000 5001)))
    (unwind-protect
         (progn
           (is (= 3 (mesh-node:heartbeat node peer 5)))
           (eventually (equalp '(#(1 5 255)) (mesh-node:node-inbox node)))
           (is (typep (mesh-node:latency node peer) 'double-float)))
      (mesh-node:stop-node node))))
