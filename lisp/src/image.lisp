;;;; Saved images. They cannot contain transports, and search for the library again when they start.

(in-package #:dcf-thunderbolt)

#+sbcl
(defun leave-nothing-open ()
  "Called before an image is saved: closes open transports, with a warning."
  (let ((open (remove-if (lambda (hold) (zerop (live hold))) *holds*)))
    (when open
      (warn "~D transport~:P ~:*~[~;was~:;were~] open when the image was saved. ~
             A saved image cannot keep ~:*~[~;it~:;them~], so ~:*~[~;it is~:;they are~] closed now."
            (length open)))
    (mapc #'release open)
    (mapc #'join-threads open)
    (setf *holds* '()))
  (unload-library))

#+sbcl
(defun look-for-library ()
  "Called when a saved image starts. If the library is missing, its first use signals that."
  (handler-case (load-library)
    (library-error () nil)))

#+sbcl
(progn
  (pushnew 'leave-nothing-open sb-ext:*save-hooks*)
  (pushnew 'look-for-library sb-ext:*init-hooks*))
