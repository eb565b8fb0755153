;;;; The one condition of the package.

(in-package #:dcf.transport.thunderbolt)

(define-condition transport-error (error)
  ((text :initarg :text :initform nil :reader error-text)
   (errno :initarg :errno :initform nil :reader error-errno))
  (:report (lambda (condition stream)
             (format stream "Thunderbolt transport error: ~A~@[ (errno: ~A)~]"
                     (error-text condition) (error-errno condition))))
  (:documentation "Any failure of a transport. :TEXT describes it, :ERRNO is the operating
system's number for it, or NIL."))

(defun fail (text &optional errno)
  (error 'transport-error :text text :errno errno))

(defmacro translating-errors (&body body)
  "Runs BODY; conditions of the library become a TRANSPORT-ERROR."
  `(handler-case (progn ,@body)
     (tb:dcf-thunderbolt-error (failure)
       (fail (tb:error-message failure) (tb:error-errno failure)))))
