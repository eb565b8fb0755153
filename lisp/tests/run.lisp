;;;; The test driver's way in:
;;;;
;;;;   sbcl --script run.lisp -- [--collecting] SUITE...
;;;;   ecl --norc --shell run.lisp -- SUITE...
;;;;
;;;; Without a suite it only compiles. In a Lisp that runs, (asdf:test-system "dcf-thunderbolt") is
;;;; simpler.

;; ECL tells each file that it loads.
(setf *load-verbose* nil)
(require "asdf")

(let ((names (rest (member "--" (uiop:raw-command-line-arguments) :test #'string=)))
      (systems (merge-pathnames "../" *load-truename*)))
  (asdf:initialize-source-registry
   `(:source-registry (:directory ,systems) :inherit-configuration))
  ;; What compiling and loading has to say is shown when it only compiles.
  (let ((*standard-output* (if names (make-broadcast-stream) *standard-output*))
        (*error-output* (if names (make-broadcast-stream) *error-output*)))
    (asdf:load-system "dcf-thunderbolt/tests"))
  (when names
    (uiop:symbol-call '#:dcf-thunderbolt/tests '#:run-by-name names)))
(uiop:quit 0)
