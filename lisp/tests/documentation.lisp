;;;; Every exported symbol has documentation.

(in-package #:dcf-thunderbolt/tests)

(in-suite documentation)

(defun documented-p (symbol)
  "Whether all that SYMBOL names has a docstring, and it names something."
  (let ((types (append (when (fboundp symbol) '(function))
                       (when (boundp symbol) '(variable))
                       (when (find-class symbol nil) '(type)))))
    (if types
        (loop for type in types always (documentation symbol type))
        (get symbol 'ffi::structure-documentation))))

(test every-export-has-a-docstring
  (dolist (package '(#:dcf-thunderbolt #:dcf-thunderbolt/ffi #:dcf.transport.thunderbolt))
    (is-true (documentation (find-package package) t) "~A" package)
    (do-external-symbols (symbol package)
      (is-true (documented-p symbol) "~S" symbol))))
