;;;; Handlers and their threads.

(in-package #:dcf-thunderbolt/tests)

(in-suite handlers)

(test messages-in-order-one-at-a-time
  (let ((box (make-instance 'box))
        (inside 0)
        (overlapped nil))
    (with-loopback (there :message-handler (lambda (octets sender)
                                             (when (/= 1 (incf inside))
                                               (setf overlapped t))
                                             (put (cons octets sender) box)
                                             (decf inside)))
      (with-loopback (here)
        (dotimes (i 500)
          (send-message here (octets (mod i 256) (floor i 256)) (control-peer there)))
        (eventually (= 500 (length (contents box))))
        (is-false overlapped)
        (is (loop for (octets . sender) in (contents box)
                  for i from 0
                  always (and (equalp octets (octets (mod i 256) (floor i 256)))
                              (string= sender (control-peer here)))))))))

(test handlers-answer
  (let (there)
    (setf there (open-transport :interface "lo" :control-port 0 :data-port 0
                                :message-handler (lambda (octets sender)
                                                   (send-message there octets sender))))
    (unwind-protect
         (with-loopback (here)
           (dotimes (i 100)
             (send-message here (octets i) (control-peer there))
             (is (equalp (octets i) (receive-message here :timeout +generous+)))))
      (close-transport there))))

(defun echo (stream peer)
  "A stream handler."
  (declare (ignore peer))
  (let ((piece (make-array 10000 :element-type '(unsigned-byte 8))))
    (loop for size = (read-available stream piece)
          while (plusp size)
          do (write-sequence piece stream :end size)
             (force-output stream))))

(test streams-each-on-a-thread
  "A blocked handler does not delay others, and each stream is closed after its handler."
  (with-loopback (there :stream-handler #'echo :stream-timeout 100)
    (with-loopback (here)
      (let ((streams (loop repeat 10 collect (open-data-stream here (data-peer there)))))
        (dolist (stream (reverse streams))
          (write-sequence (pattern 1000) stream)
          (force-output stream)
          (let ((back (make-array 1000 :element-type '(unsigned-byte 8))))
            (read-sequence back stream)
            (is (equalp (pattern 1000) back))))
        (is (= 10 (getf (statistics there) :streams-open)))
        (dolist (stream streams)
          (finish-data-stream stream)
          (is (null (read-byte stream nil)))
          (close stream))
        (eventually (= 0 (getf (statistics there) :streams-open)))))))

(test a-blocked-handler-delays-no-streams
  (let ((gate (bt:make-semaphore))
        (entered (bt:make-semaphore)))
    (with-loopback (there :stream-handler #'echo
                          :message-handler (lambda (octets sender)
                                             (declare (ignore octets sender))
                                             (bt:signal-semaphore entered)
                                             (bt:wait-on-semaphore gate :timeout +generous+)))
      (unwind-protect
           (with-loopback (here)
             (send-message here (octets 1) (control-peer there))
             (is-true (bt:wait-on-semaphore entered :timeout +generous+))
             (with-data-stream (stream here (data-peer there))
               (write-byte 5 stream)
               (force-output stream)
               (is (= 5 (read-byte stream)))))
        (bt:signal-semaphore gate)))))

(defmacro with-error-output ((variable) &body body)
  "Runs BODY while what all threads write to their error output goes to VARIABLE, a string stream."
  `(let ((,variable (make-string-output-stream)))
     (flet ((put-globally (stream)
              ;; A thread without bindings of its own.
              (funcall (in-thread (shiftf *error-output* stream)))))
       (let ((before (put-globally ,variable)))
         (unwind-protect (progn ,@body)
           (put-globally before))))))

(test errors-in-handlers-go-no-further
  (let ((errors (make-instance 'box))
        (messages (make-instance 'box)))
    (with-loopback (there :error-handler (lambda (condition)
                                           (put (princ-to-string condition) errors)
                                           (error "one more"))
                          :message-handler (lambda (octets sender)
                                             (declare (ignore sender))
                                             (if (= 0 (aref octets 0))
                                                 (error "zero")
                                                 (put octets messages)))
                          :stream-handler (lambda (stream peer)
                                            (declare (ignore stream peer))
                                            (error "no streams")))
      (with-error-output (said)
        (with-loopback (here)
          (dolist (number '(1 0 2))
            (send-message here (octets number) (control-peer there)))
          (eventually (equalp (list (octets 1) (octets 2)) (contents messages)))
          (with-data-stream (stream here (data-peer there))
            (is (null (read-byte stream nil)) "its handler failed, so it is closed"))
          (eventually (equal '("zero" "no streams") (contents errors))))
        (is (search "one more" (get-output-stream-string said)))))))

(test errors-are-printed-by-default
  (with-error-output (said)
    (with-loopback (there :message-handler (lambda (octets sender)
                                             (error "~A from ~A" octets sender)))
      (with-loopback (here)
        (send-message here (octets 1 2) (control-peer there))
        (eventually (search "error in a handler: #(1 2) from" (get-output-stream-string said)))))))

(test an-error-handler-may-choose
  "GIVE-UP is available, and so are the restarts of the program."
  (let ((messages (make-instance 'box)))
    (with-loopback (there :error-handler (lambda (condition)
                                           (if (find-restart 'use-value condition)
                                               (use-value :used)
                                               (give-up condition)))
                          :message-handler (lambda (octets sender)
                                             (declare (ignore sender))
                                             (if (= 0 (aref octets 0))
                                                 (error "no restart here")
                                                 (put (restart-case (error "one here")
                                                        (use-value (value) value))
                                                      messages))))
      (with-loopback (here)
        (dolist (number '(0 1 0 2))
          (send-message here (octets number) (control-peer there)))
        (eventually (equal '(:used :used) (contents messages)))))))

(test close-waits-for-handlers
  (let* ((entered (bt:make-semaphore))
         (finished nil)
         (there (open-transport :interface "lo" :control-port 0 :data-port 0
                                :message-handler (lambda (octets sender)
                                                   (declare (ignore octets sender))
                                                   (bt:signal-semaphore entered)
                                                   (sleep 0.1)
                                                   (setf finished t)))))
    (with-loopback (here)
      (send-message here (octets 1) (control-peer there))
      (is-true (bt:wait-on-semaphore entered :timeout +generous+))
      (close-transport there)
      (is-true finished))))

(test close-ends-handlers-that-wait
  "They are not reported, because closing the transport is not an error."
  (let ((errors (make-instance 'box))
        (after (make-instance 'box))
        (entered (bt:make-semaphore)))
    (with-loopback (here)
      (with-loopback (there :error-handler (lambda (condition)
                                             (put (princ-to-string condition) errors))
                            :message-handler (lambda (octets sender)
                                               (declare (ignore octets sender))
                                               (bt:signal-semaphore entered)
                                               (receive-message there))
                            :stream-handler (lambda (stream peer)
                                              (declare (ignore peer))
                                              (bt:signal-semaphore entered)
                                              (unwind-protect (read-byte stream)
                                                (put :left after))))
        (send-message here (octets 1) (control-peer there))
        (let ((stream (open-data-stream here (data-peer there))))
          (dotimes (i 2)
            (is-true (bt:wait-on-semaphore entered :timeout +generous+)))
          (close-transport there)
          (is (equal '(:left) (contents after)))
          (is (equal '() (contents errors)))
          (close stream :abort t))))))

(test close-from-inside
  "A handler may close its transport, and two may close each other's."
  (let ((first nil) (second nil)
        (closed (bt:make-semaphore)))
    (flet ((open-one (other)
             (open-transport :interface "lo" :control-port 0 :data-port 0
                             :message-handler (lambda (octets sender)
                                                (declare (ignore octets sender))
                                                (close-transport (funcall other))
                                                (bt:signal-semaphore closed)))))
      (setf first (open-one (lambda () first)))
      (with-loopback (here)
        (send-message here (octets 1) (control-peer first)))
      (is-true (bt:wait-on-semaphore closed :timeout +generous+))
      (is-false (transport-open-p first))
      (setf first (open-one (lambda () second))
            second (open-one (lambda () first)))
      (with-loopback (here)
        (send-messages here (list (octets 1)) (control-peer first))
        (ignore-errors (send-messages here (list (octets 1)) (control-peer second))))
      ;; Whichever was first may have ended the other before its message came.
      (is-true (bt:wait-on-semaphore closed :timeout +generous+))
      (close-transport first)
      (close-transport second)
      (is-false (transport-open-p first))
      (is-false (transport-open-p second)))))

(test threads-end
  "200 lives leave no thread behind."
  (flet ((threads ()
           (count-if (lambda (thread) (search "dcf-thunderbolt"
                                              ;; ECL has symbols for those of its own.
                                              (string (bt:thread-name thread))))
                     (bt:all-threads))))
    (eventually (= 0 (threads)))        ; those of the test before
    (dotimes (i 200)
      (with-loopback (transport :message-handler #'list :stream-handler #'echo)
        (transport-ports transport)))
    (eventually (= 0 (threads)))))
