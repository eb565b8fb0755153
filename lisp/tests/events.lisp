;;;; Handlers of log records. Handlers of link changes are tested in two-hosts.lisp.

(in-package #:dcf-thunderbolt/tests)

(in-suite events)

(defun log-to (box)
  "A log handler that puts (LEVEL . TEXT) into BOX."
  (lambda (level text) (put (cons level text) box)))

(defun levels (box)
  (mapcar #'car (contents box)))

(defun open-a-stream (transport)
  "What is worth a record at level :DEBUG, on this side and on the other, which is the same."
  (with-data-stream (stream transport (data-peer transport))
    (close (accept-data-stream transport :accept-timeout +generous+))))

(test records-come-in-order-from-the-first-to-the-last
  (let ((box (make-instance 'box)))
    (with-loopback (transport :log-handler (log-to box) :log-level :debug)
      (open-a-stream transport))
    ;; Closing waited for the handler.
    (let ((records (contents box)))
      (is (eq :info (car (first records))))
      (is (search "lo" (cdr (first records))))
      (is (find :debug records :key #'car))
      (is (eq :info (car (first (last records)))))
      (is (search "closed" (string-downcase (cdr (first (last records)))))))))

(test records-below-the-level-do-not-come
  (flet ((levels-at (&rest settings)
           (let ((box (make-instance 'box)))
             (close-transport
              (let ((transport (apply #'open-transport :interface "lo" :control-port 0 :data-port 0
                                                       :log-handler (log-to box) settings)))
                (open-a-stream transport)
                transport))
             (remove-duplicates (levels box)))))
    (is (equal '(:info) (levels-at)) ":INFO is the default")
    (is (equal '(:info) (levels-at :log-level :info)))
    (is (equal '(:info) (levels-at :log-level nil)))
    (is (member :debug (levels-at :log-level :debug)))
    (is (member :debug (levels-at :log-level ffi:+log-debug+)))
    (is (null (levels-at :log-level :warn)))
    (is (null (levels-at :log-level :error)))))

(test an-unknown-level-is-refused
  (dolist (level '(:loud 0 5))
    (handler-case (close-transport (open-transport :interface "lo" :control-port 0 :data-port 0
                                                   :log-level level))
      (invalid-configuration-error (condition)
        (is (search (princ-to-string level) (error-message condition))))
      (:no-error (&rest values)
        (declare (ignore values))
        (fail "~S was taken" level)))))

(test errors-in-a-log-handler-go-no-further
  (let ((errors (make-instance 'box))
        (records (make-instance 'box)))
    (with-loopback (transport :log-level :debug
                              :error-handler (lambda (condition)
                                               (put (princ-to-string condition) errors))
                              :log-handler (lambda (level text)
                                             (if (eq level :debug)
                                                 (error "debugging")
                                                 (put text records))))
      (open-a-stream transport)
      (eventually (find "debugging" (contents errors) :test #'string=))
      (is-true (transport-open-p transport)))
    (is (<= 2 (length (contents records))) "the first and the last")))

(test a-log-handler-may-call-everything
  (let ((seen (make-instance 'box))
        (transport nil)
        (gate (bt:make-semaphore)))
    (setf transport
          (open-transport :interface "lo" :control-port 0 :data-port 0
                          :log-handler (lambda (level text)
                                         (declare (ignore level text))
                                         (bt:wait-on-semaphore gate :timeout +generous+)
                                         (when (transport-open-p transport)
                                           (send-message transport (octets 1 2 3)
                                                         (control-peer transport))
                                           (put (measure-rtt transport (control-peer transport))
                                                seen)))))
    (unwind-protect
         (progn
           (bt:signal-semaphore gate :count 100)
           (is (equalp (octets 1 2 3) (receive-message transport :timeout +generous+)))
           (eventually (plusp (length (contents seen)))))
      (close-transport transport))))

(test a-log-handler-may-close-its-transport
  (let* ((closed (make-instance 'box))
         (transport nil)
         (gate (bt:make-semaphore)))
    (setf transport
          (open-transport :interface "lo" :control-port 0 :data-port 0
                          :log-handler (lambda (level text)
                                         (declare (ignore level text))
                                         (bt:wait-on-semaphore gate :timeout +generous+)
                                         (put (close-transport transport) closed))))
    (multiple-value-bind (control data) (transport-ports transport)
      (bt:signal-semaphore gate :count 100)
      (eventually (contents closed))
      (is (eq t (first (contents closed))) "it was open")
      (eventually (not (transport-open-p transport)))
      (is (null (close-transport transport)))
      (with-transport (again :interface "lo" :control-port control :data-port data)
        (is-true (transport-open-p again))))))

(test closing-waits-for-a-log-handler
  (let ((gate (bt:make-semaphore))
        (entered (bt:make-semaphore))
        (left (make-instance 'box)))
    (let* ((transport (open-transport :interface "lo" :control-port 0 :data-port 0
                                      :log-handler (lambda (level text)
                                                     (declare (ignore level text))
                                                     (bt:signal-semaphore entered)
                                                     (bt:wait-on-semaphore gate
                                                                           :timeout +generous+)
                                                     (put t left))))
           (closing (progn
                      (is-true (bt:wait-on-semaphore entered :timeout +generous+))
                      (in-thread
                        (close-transport transport)
                        (length (contents left))))))
      (eventually (not (transport-open-p transport)))
      (bt:signal-semaphore gate :count 100)
      (let ((handled (funcall closing)))
        (is (<= 2 handled) "those of the start and of the close")
        (is (= handled (length (contents left))) "none comes after that")))))

(test a-blocked-log-handler-delays-nothing
  "Events are dropped once the socket is full, and everything else goes on."
  (let ((gate (bt:make-semaphore))
        (box (make-instance 'box)))
    (with-loopback (transport :log-level :debug
                              :log-handler (lambda (level text)
                                             (declare (ignore level text))
                                             (bt:wait-on-semaphore gate :timeout +generous+)
                                             (put t box)))
      (unwind-protect
           (dotimes (i 500)
             (open-a-stream transport))
        (bt:signal-semaphore gate :count 10000))
      (eventually (< 10 (length (contents box)))))))

(defun descriptors ()
  "How many are open, of the first thousand."
  (loop for descriptor below 1000
        ;; F_GETFD
        count (<= 0 (cffi:foreign-funcall "fcntl" :int descriptor :int 1 :int))))

(test no-descriptor-is-leaked
  (flet ((once ()
           (with-loopback (transport :log-handler (lambda (level text)
                                                    (declare (ignore level text))))
             (is-true (transport-open-p transport)))
           (signals interface-not-found-error
             (open-transport :interface "none0" :log-handler #'list))))
    (once)
    (let ((before (descriptors)))
      (dotimes (i 20)
        (once))
      (is (<= (descriptors) (+ 2 before))))))

;;; Peers

(test peers-appear-and-vanish
  (let ((told (make-instance 'box)))
    (with-loopback (transport :peer-timeout-ms 200
                              :peer-handler (lambda (here peer) (put (list here peer) told)))
      (is (null (last-heard transport "::1")))
      (with-loopback (other)
        (dotimes (i 2)
          (send-message other (octets 1 2 3) (control-peer transport))
          (eventually (= (* 2 (1+ i)) (length (contents told)))))
        (is (equal '((t "::1%lo") (nil "::1%lo") (t "::1%lo") (nil "::1%lo")) (contents told)))
        (is (plusp (last-heard transport "::1")))
        (forget-peer transport "::1")
        (is (null (last-heard transport "::1")))))))

(test a-forgotten-peer-appears-again
  (let ((told (make-instance 'box)))
    (with-loopback (transport :peer-timeout-ms 0
                              :peer-handler (lambda (here peer) (put (list here peer) told)))
      (with-loopback (other)
        (dotimes (i 3)
          (send-message other (octets 1 2 3) (control-peer transport))
          (eventually (= (1+ i) (length (contents told))))
          (forget-peer transport "::1"))))
    (is (equal '((t "::1%lo") (t "::1%lo") (t "::1%lo")) (contents told)))))

(test peers-are-remembered-on-demand
  (dolist (remember '(nil t))
    (with-loopback (transport :remember-peers remember)
      (send-message transport (octets 1 2 3) (control-peer transport))
      (receive-message transport :timeout +generous+)
      (is (eq remember (and (last-heard transport "::1") t)))
      (signals invalid-address-error (last-heard transport "nobody"))
      (signals invalid-address-error (forget-peer transport "nobody")))))

(test a-peer-handler-may-close-its-transport
  (let ((closed (make-instance 'box))
        (transport nil))
    (setf transport (open-transport :interface "lo" :control-port 0 :data-port 0
                                    :peer-handler (lambda (here peer)
                                                    (declare (ignore here peer))
                                                    (put (close-transport transport) closed))))
    (send-message transport (octets 1 2 3) (control-peer transport))
    (eventually (contents closed))
    (is (equal '(t) (contents closed)))
    (is-false (transport-open-p transport))))
