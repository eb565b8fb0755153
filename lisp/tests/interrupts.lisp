;;;; Interrupted waits: the thread leaves the call, and everything else still works.

(in-package #:dcf-thunderbolt/tests)

(in-suite interrupts)

(defun interrupted (wait)
  "Interrupts a thread that does WAIT. Returns :OUT if it left the call."
  (let ((entered (bt:make-semaphore)))
    (multiple-value-bind (thread result)
        (start (lambda ()
                 (catch 'out
                   (bt:signal-semaphore entered)
                   (funcall wait))))
      (bt:wait-on-semaphore entered)
      (sleep 0.02)
      (bt:interrupt-thread thread (lambda () (throw 'out :out)))
      (funcall result))))

(defun arrives-p (octet transport)
  "Whether one of the streams that come to TRANSPORT begins with OCTET. Others may not even have an
end, until the garbage collector finds the stream that a thread lost when it was interrupted."
  (let ((streams '()))
    (flet ((begins-p (stream)
             (handler-case (and (listen stream) (= octet (read-byte stream)))
               (connection-error () nil))))
      (unwind-protect
           (wait-until (lambda ()
                         (let ((stream (accept-data-stream transport :accept-timeout 0)))
                           (when stream
                             (push stream streams))
                           (some #'begins-p streams))))
        (loop for stream in streams do (close stream :abort t))))))

(defvar *last-number* 0)

(defun works-p (transport)
  "Whether messages, round trips and streams go through TRANSPORT. What others left on the way when
they were interrupted may still arrive, and is not taken for ours."
  (let* ((number (setf *last-number* (mod (1+ *last-number*) 251)))
         (message (octets 1 2 number)))
    (send-message transport message (control-peer transport))
    (and (loop for received = (receive-message transport :timeout +generous+)
               while received thereis (equalp message received))
         (measure-rtt transport (control-peer transport) :timeout +generous+)
         (with-data-stream (near transport (data-peer transport))
           (write-byte number near)
           (force-output near)
           (arrives-p number transport)))))

(defmacro leaves-all-as-it-was (form)
  "Checks that FORM, which waits on TRANSPORT, can be interrupted without harm."
  `(progn
     (is (eq :out (interrupted (lambda () ,form))) "~S was not interrupted" ',form)
     (is-true (works-p transport))))

(test every-wait
  (with-loopback (transport)
    (leaves-all-as-it-was (receive-message transport))
    (leaves-all-as-it-was (receive-message transport :timeout 1000))
    (leaves-all-as-it-was (accept-data-stream transport))
    (leaves-all-as-it-was (discover transport :timeout 1000))
    (call-with-silent-peer
     (lambda (peer)
       (leaves-all-as-it-was (measure-rtt transport peer :timeout nil))
       (leaves-all-as-it-was (ping transport peer :count 1000 :timeout 1000))))
    (leaves-all-as-it-was (ping transport (control-peer transport) :count 100000 :interval 1))))

(test waits-of-streams
  (with-loopback (transport)
    (with-data-stream (near transport (data-peer transport))
      (with-open-stream (far (accept-data-stream transport :accept-timeout +generous+))
        (let ((octets (pattern 100)))
          (leaves-all-as-it-was (read-byte near))
          (leaves-all-as-it-was (read-sequence (pattern 100000) near))
          (leaves-all-as-it-was (with-directory (directory)
                                  (receive-file near (merge-pathnames "file" directory))))
          ;; The stream itself goes on.
          (write-sequence octets far)
          (force-output far)
          (let ((read (pattern 100 1)))
            (is (= 100 (read-sequence read near)))
            (is (equalp octets read))))
        (leaves-all-as-it-was (loop (write-sequence (pattern 1000000) near)))
        (close near :abort t)))))

(test threads-that-are-ended
  (with-loopback (transport)
    (dolist (wait (list (lambda () (receive-message transport))
                        (lambda () (accept-data-stream transport))))
      (let ((thread (bt:make-thread wait)))
        (sleep 0.02)
        (bt:destroy-thread thread)
        (ignore-errors (bt:join-thread thread))
        (eventually (not (bt:thread-alive-p thread)))
        (is-true (works-p transport))))))

(test threads-of-handlers-that-are-ended
  "Ending these threads by force only loses the handlers."
  (with-loopback (transport :message-handler #'list :stream-handler #'echo)
    (let ((threads (dcf-thunderbolt::hold-threads (dcf-thunderbolt::hold transport))))
      (is (= 2 (length threads)))
      (mapc #'bt:destroy-thread threads)
      (eventually (notany #'bt:thread-alive-p threads)))
    (is-true (works-p transport))))

(test an-interrupted-receive-loses-no-message
  "Interrupts between messages lose none, because the library keeps messages that were not received."
  (with-loopback (transport)
    (dotimes (i 20)
      (is (eq :out (interrupted (lambda () (receive-message transport)))))
      (send-message transport (octets i) (control-peer transport))
      (is (equalp (octets i) (receive-message transport :timeout +generous+))))))

#+sbcl
(test timeouts-of-lisp
  (with-loopback (transport)
    (signals sb-ext:timeout
      (sb-ext:with-timeout 0.05
        (receive-message transport)))
    (is-true (works-p transport))
    ;; On a thread of its own: no word of its stack keeps a stream from the garbage collector.
    (funcall (in-thread
               (dotimes (i 50)
                 (handler-case (sb-ext:with-timeout (/ (random 1000) 100000)
                                 (loop (works-p transport)))
                   (sb-ext:timeout () nil)))))
    (is-true (works-p transport))
    (trivial-garbage:gc :full t)
    (eventually (progn
                  (loop for stream = (accept-data-stream transport :accept-timeout 0)
                        while stream do (close stream))
                  (trivial-garbage:gc :full t)
                  (= 0 (getf (statistics transport) :streams-open)))
                "an interrupt lost a stream")))
