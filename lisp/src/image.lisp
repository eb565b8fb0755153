;;;; Saved images. A transport cannot be in one, and the library is looked for anew when it starts.

(in-package #:dcf-thunderbolt)

#+sbcl
(defun leave-nothing-open ()
  "Before an image is saved: closes what is open, and says so."
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
  "When a saved image starts. Should the library not be there, its first use says so."
  (handler-case (load-library)
    (library-error () nil)))

#+sbcl
(progn
  (pushnew 'leave-nothing-open sb-ext:*save-hooks*)
  (pushnew 'look-for-library sb-ext:*init-hooks*))
