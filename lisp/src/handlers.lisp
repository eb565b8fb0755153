;;;; Handlers: Lisp threads that wait in the library and call the program. The library itself never
;;;; calls Lisp.

(in-package #:dcf-thunderbolt)

(defun start-thread (hold name function)
  "Runs FUNCTION on a thread that belongs to the transport of HOLD."
  (flet ((run ()
           (unwind-protect
                (let ((*in-handler* t))
                  (funcall function))
             (bordeaux-threads:with-lock-held ((hold-lock hold))
               (setf (hold-threads hold)
                     (remove (bordeaux-threads:current-thread) (hold-threads hold)))))))
    (bordeaux-threads:with-lock-held ((hold-lock hold))
      (push (bordeaux-threads:make-thread #'run :name name) (hold-threads hold)))))

(defun join-threads (hold)
  "Waits until all threads of the transport of HOLD have ended."
  (loop for thread = (bordeaux-threads:with-lock-held ((hold-lock hold))
                       (first (hold-threads hold)))
        while thread
        do (ignore-errors               ; it may have been ended by force
            (bordeaux-threads:join-thread thread))
           (bordeaux-threads:with-lock-held ((hold-lock hold))
             (setf (hold-threads hold) (remove thread (hold-threads hold))))))

;;; Errors of handlers

(defun report-error (condition)
  "The default handling of an error in a handler: a line on the error
output."
  (format *error-output* "~&dcf-thunderbolt: error in a handler: ~A~%" condition)
  (finish-output *error-output*))

(defun give-up (&optional condition)
  "Ends the handler that runs, from inside an error handler or the debugger; the transport goes
on. Does nothing when no handler runs."
  (let ((restart (find-restart 'give-up condition)))
    (when restart
      (invoke-restart restart))))

(defun guarded (hold report function)
  "Calls FUNCTION. An error in it is given to REPORT and goes no further. That the transport of HOLD
was closed under it is no error, but its end."
  (restart-case
      (handler-bind ((closed-error
                       (lambda (condition)
                         (when (zerop (live hold))
                           (give-up condition))))
                     (serious-condition
                       (lambda (condition)
                         (funcall report condition)
                         (give-up condition))))
        (funcall function))
    (give-up ()
      :report "Give up this event; the transport goes on."
      nil)))

;;; Loops

(defun until-closed (hold report step)
  "Calls STEP over and over until the transport of HOLD is closed."
  (loop until (zerop (live hold))
        do (handler-case (funcall step)
             (closed-error ()
               (return))
             (dcf-thunderbolt-error (condition)
               ;; No descriptors or memory: try again in a moment.
               (funcall report condition)
               (sleep (/ +slice+ 1000))))))

(defun message-loop (hold handler report)
  (let ((receiver (make-receiver)))
    (until-closed hold report
                  (lambda ()
                    (multiple-value-bind (octets sender) (receive (live hold) receiver +slice+)
                      (when octets
                        (guarded hold report
                                 (lambda () (funcall handler octets sender)))))))))

(defun serve (hold stream handler report)
  "Gives STREAM to HANDLER, and closes it after that."
  (unwind-protect
       (guarded hold report
                (lambda ()
                  (funcall handler stream (data-stream-peer stream))
                  (close stream)))
    (close stream :abort t)))

(defun stream-loop (hold handler report timeout)
  (until-closed hold report
                (lambda ()
                  (let ((stream (accept hold +slice+ timeout)))
                    (when stream
                      (start-thread hold "dcf-thunderbolt stream"
                                    (lambda () (serve hold stream handler report))))))))

(defun start-handlers (hold message-handler stream-handler event-handlers error-handler
                       stream-timeout)
  (flet ((report (condition)
           (handler-case (funcall error-handler condition)
             (serious-condition (another)
               (report-error another)))))
    (when (hold-events hold)
      (start-thread hold "dcf-thunderbolt events"
                    (lambda () (event-loop hold event-handlers #'report))))
    (when message-handler
      (start-thread hold "dcf-thunderbolt messages"
                    (lambda () (message-loop hold message-handler #'report))))
    (when stream-handler
      (start-thread hold "dcf-thunderbolt streams"
                    (lambda ()
                      (stream-loop hold stream-handler #'report stream-timeout))))))
