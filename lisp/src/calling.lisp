;;;; Calls of the library: uninterrupted, in slices when they wait, failures as conditions.
;;;;
;;;; An interrupt (a timeout, BT:INTERRUPT-THREAD, the end of a thread) that leaves a foreign call
;;;; by a non-local exit would skip the library's own frames. So interrupts are deferred during a call,
;;;; and no call runs for long: a waiting call is repeated in slices, and between two slices the
;;;; interrupts take effect.

(in-package #:dcf-thunderbolt)

(defmacro without-interrupts (&body body)
  "Runs BODY with interrupts of this thread deferred. Garbage collection still runs."
  #+sbcl `(sb-sys:without-interrupts ,@body)
  #+ecl `(mp:without-interrupts ,@body)
  #-(or sbcl ecl) `(progn ,@body))

(defun last-error ()
  "The library's text of this thread's last failure."
  (cffi:with-foreign-pointer-as-string ((text size) 1024)
    (%last-error text size)))

(defun failure (code &rest arguments)
  "The condition for the last failed call of this thread, not signalled yet."
  (let ((errno (%last-errno)))
    (apply #'make-error code (last-error) :errno (if (zerop errno) nil errno) arguments)))

(defmacro calling ((form &rest failure) &body clauses)
  "Evaluates FORM, a call of the library, and then the clause that has its status: (CODE FORM...)
or ((CODE...) FORM...). All of that is uninterrupted, so that nothing that the library gave out
gets lost; clauses have to be short. Another status is signalled as a failure with the arguments
FAILURE; its restart TRY-AGAIN evaluates FORM again."
  (let ((status (gensym "STATUS")) (result (gensym "RESULT")))
    `(loop
       (let ((,result
               (without-interrupts
                 (let ((,status ,form))
                   (declare (type (signed-byte 32) ,status))
                   (cond ,@(loop for (codes . body) in clauses
                                 collect `((or ,@(loop for code in (if (listp codes)
                                                                       codes
                                                                       (list codes))
                                                       collect `(= ,status ,code)))
                                           ,@body))
                         (t (failure ,status ,@failure)))))))
         (if (typep ,result 'dcf-thunderbolt-error)
             (signal-error ,result)
             (return ,result))))))

(defmacro call (form)
  "Evaluates FORM, a call of the library without a result, and signals its failure."
  `(calling (,form) (+ok+ t)))

;;; Waiting

(defconstant +slice+ 100
  "Milliseconds that a call may wait before interrupts take effect.")

(defun milliseconds (seconds)
  "SECONDS as whole milliseconds, rounded up. NIL, no limit, stays NIL."
  (check-type seconds (or null (real 0)))
  (and seconds (ceiling (* (rational seconds) 1000))))

(defun clock ()
  "A time in milliseconds."
  (floor (get-internal-real-time) (/ internal-time-units-per-second 1000)))

(defun wait-in-slices (timeout attempt growing)
  "Calls ATTEMPT with the milliseconds that it may wait until it returns something else than NIL,
which is the result, or until TIMEOUT seconds have passed, and then the result is NIL. GROWING
is for attempts that begin anew each time: each may wait as long as all before it together."
  (declare (type function attempt))
  (let* ((limit (milliseconds timeout))
         (start (if (or growing (and limit (> limit +slice+))) (clock) 0))
         (waited 0))
    (loop
      (let* ((most (if growing (max +slice+ waited) +slice+))
             (slice (if limit (max 0 (min most (- limit waited))) most)))
        (let ((result (funcall attempt (min slice (1- +wait-forever+)))))
          (when result
            (return result)))
        (when (and limit (<= limit (+ waited slice)))
          (return nil))
        (setf waited (if (or limit growing) (- (clock) start) 0))))))

(defmacro in-slices ((slice timeout &key growing) &body body)
  "WAIT-IN-SLICES with BODY as the attempt, in which SLICE is bound."
  `(flet ((attempt (,slice) ,@body))
     (declare (dynamic-extent #'attempt))
     (wait-in-slices ,timeout #'attempt ,growing)))

(defun time-is-up (timeout what &rest failure)
  "Signals that WHAT timed out after TIMEOUT seconds. Returns when TRY-AGAIN is chosen."
  (signal-error (apply #'make-error +err-timeout+
                       (format nil "~A within ~,3F s" what timeout)
                       failure)))
