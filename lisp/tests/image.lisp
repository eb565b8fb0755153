;;;; Saved images.

(in-package #:dcf-thunderbolt/tests)

(in-suite image)

#+sbcl
(defun save-image (directory &rest forms)
  "Lets a fresh Lisp evaluate FORMS, texts, and save an image that calls the function MAIN. Returns
the image's path and what that Lisp said."
  (let ((image (uiop:native-namestring (merge-pathnames "image" directory))))
    (values image
            (apply #'run-lisp
                   `("(asdf:load-system \"dcf-thunderbolt\")"
                     ,@forms
                     ,(format nil "(sb-ext:save-lisp-and-die ~S :executable t :toplevel ~
                                   (lambda () (sb-ext:disable-debugger) (main) (terpri) ~
                                              (finish-output) (sb-ext:exit)))"
                              image))
                   directory
                   (list (format nil "DCF_THUNDERBOLT_LIBRARY=~A" (loaded-library)))))))

#+sbcl
(defun run-image (image &rest environment)
  (uiop:run-program `("env" ,@environment ,image) :output :string :error-output :output
                                                  :ignore-error-status t))

#+sbcl
(defparameter *talks-to-itself*
  "(defun main ()
     (dcf-thunderbolt:with-transport (tb :interface \"lo\" :control-port 0 :data-port 0)
       (let ((self (format nil \"[::1%lo]:~D\" (dcf-thunderbolt:transport-ports tb))))
         (dcf-thunderbolt:send-message tb #(1 2 3) self)
         (princ (dcf-thunderbolt:receive-message tb :timeout 30)))))")

#+sbcl
(test an-image-finds-the-library-again
  (with-directory (directory)
    (multiple-value-bind (image said) (save-image directory *talks-to-itself*)
      (is-false (search "WARNING" said) "~A" said)
      (dotimes (i 2)
        (is (search "#(1 2 3)" (run-image image "-u" "DCF_THUNDERBOLT_LIBRARY"
                                          (format nil "DCF_THUNDERBOLT_LIBRARY=~A"
                                                  (link-library
                                                   (merge-pathnames (format nil "moved-~D.so" i)
                                                                    directory)))))))
      (let ((said (run-image image "DCF_THUNDERBOLT_LIBRARY=/nonexistent.so")))
        (is-true (search "/nonexistent.so" said) "~A" said)))))

#+sbcl
(test open-transports-are-closed-with-a-warning
  "A transport with handlers, one without, and a stream do not go into an image."
  (with-directory (directory)
    (multiple-value-bind (image said)
        (save-image directory
                    "(defvar *one* (dcf-thunderbolt:open-transport
                                    :interface \"lo\" :control-port 0 :data-port 0
                                    :message-handler (function list)
                                    :stream-handler (function list)))"
                    "(defvar *other* (dcf-thunderbolt:open-transport
                                      :interface \"lo\" :control-port 0 :data-port 0))"
                    "(defvar *stream* (dcf-thunderbolt:open-data-stream
                                       *other* (format nil \"[::1%lo]:~D\"
                                                       (nth-value 1 (dcf-thunderbolt:transport-ports
                                                                     *other*)))))"
                    "(defun closed-p (function)
                       (handler-case (progn (funcall function) :open)
                         (dcf-thunderbolt:closed-error () :closed)))"
                    ;; The new process has a transport of its own when the old ones are used.
                    "(defun main ()
                       (dcf-thunderbolt:with-transport (tb :interface \"lo\" :control-port 0
                                                           :data-port 0)
                         (print (list (dcf-thunderbolt:transport-open-p *one*)
                                      (closed-p (lambda () (dcf-thunderbolt:statistics *one*)))
                                      (closed-p (lambda () (dcf-thunderbolt:statistics *other*)))
                                      (closed-p (lambda () (read-byte *stream*)))
                                      (dcf-thunderbolt:close-transport *one*)
                                      (close *stream* :abort t)
                                      (dcf-thunderbolt:transport-open-p tb)))))")
      (is-true (search "2 transports were open" said) "~A" said)
      (let ((said (run-image image (format nil "DCF_THUNDERBOLT_LIBRARY=~A" (loaded-library)))))
        (is-true (search "(NIL :CLOSED :CLOSED :CLOSED NIL T T)" said) "~A" said)))))

#-sbcl
(test no-images
  "This Lisp saves none, so there is nothing to close before it does."
  (is-false (member :sbcl *features*)))
