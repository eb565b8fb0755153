;;;; Running suites.

(in-package #:dcf-thunderbolt/tests)

(define-condition tests-failed (error)
  ((failed :initarg :failed :reader failed)
   (checks :initarg :checks :reader checks))
  (:report (lambda (condition stream)
             (if (zerop (checks condition))
                 (format stream "not a single check was made")
                 (format stream "~D of ~D checks failed" (failed condition) (checks condition))))))

(defun gather-garbage (stop)
  "Collects garbage until STOP has something in it: what is young, and sometimes all of it. Half of the
time is for the others: a thread that is stopped again before it had a turn never gets on."
  (loop for number from 0
        for start = (get-internal-real-time)
        until (first stop)
        do (trivial-garbage:gc :full (zerop (mod number 16)))
           (sleep (/ (- (get-internal-real-time) start) internal-time-units-per-second))))

(defun call-during-collections (function)
  "Calls FUNCTION while another thread collects garbage all the time."
  (let* ((stop (list nil))
         (thread (bt:make-thread (lambda () (gather-garbage stop)) :name "garbage")))
    (unwind-protect (funcall function)
      (setf (first stop) t)
      (bt:join-thread thread))))

(defun passed-p (result)
  (typep result 'fiveam::test-passed))

(defun run-suites (suites &key collecting)
  "Runs SUITES and prints FiveAM's report; signals an error if a check failed, or none ran."
  (let* ((results (flet ((run-them ()
                           (loop for suite in suites append (run suite))))
                    (if collecting
                        (call-during-collections #'run-them)
                        (run-them))))
         (checks (length results))
         (failed (count-if-not #'passed-p results)))
    (explain! results)
    (format t "~&checks: ~D passed, ~D failed~%" (- checks failed) failed)
    (finish-output)
    (when (or (zerop checks) (plusp failed))
      (error 'tests-failed :failed failed :checks checks))))

(defun run-by-name (names)
  "For a command line: runs the suites that have these names; \"--collecting\" among them is for
RUN-SUITES. Ends the process."
  (let ((collecting (member "--collecting" names :test #'string=))
        (suites (loop for name in (remove "--collecting" names :test #'string=)
                      collect (intern (string-upcase name) '#:dcf-thunderbolt/tests))))
    (handler-case (run-suites suites :collecting collecting)
      (tests-failed (condition)
        (format t "~&~A~%" condition)
        (finish-output)
        (uiop:quit 1)))
    (uiop:quit 0)))
