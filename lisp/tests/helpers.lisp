;;;; Helpers of the tests.

(in-package #:dcf-thunderbolt/tests)

(defconstant +generous+ 60
  "A timeout in seconds for steps that take milliseconds, on a machine that may be very busy.")

(defun wait-until (condition)
  "Waits until CONDITION is true, and returns its value; returns NIL after a timeout."
  (loop with deadline = (+ (get-universal-time) +generous+)
        for value = (funcall condition)
        when value return value
        when (> (get-universal-time) deadline) return nil
        do (sleep 0.002)))

(defmacro eventually (form &rest reason)
  "Checks that FORM becomes true."
  `(is-true (wait-until (lambda () ,form)) ,@(or reason (list "~S did not come true" `',form))))

(defmacro with-loopback ((variable &rest options) &body body)
  "Runs BODY with a transport on lo that has any free ports."
  `(with-transport (,variable :interface "lo" :control-port 0 :data-port 0 ,@options)
     ,@body))

(defun control-peer (transport)
  "TRANSPORT as a peer for messages and pings."
  (format nil "[::1%lo]:~D" (transport-ports transport)))

(defun data-peer (transport)
  "TRANSPORT as a peer for streams."
  (format nil "[::1%lo]:~D" (nth-value 1 (transport-ports transport))))

(defmacro with-streams ((near far) &body body)
  "Runs BODY with the two ends of a data stream."
  (let ((transport (gensym "TRANSPORT")))
    `(with-loopback (,transport)
       (with-data-stream (,near ,transport (data-peer ,transport))
         (with-open-stream (,far (accept-data-stream ,transport :accept-timeout +generous+))
           ,@body)))))

(defun octets (&rest octets)
  (coerce octets '(simple-array (unsigned-byte 8) (*))))

(defun pattern (size &optional (seed 0))
  "SIZE octets that depend on their position."
  (let ((octets (make-array size :element-type '(unsigned-byte 8))))
    (dotimes (i size octets)
      (setf (aref octets i) (mod (+ seed (* 7 i) (ash i -8)) 251)))))

(defclass box ()
  ((items :initform '() :accessor items)
   (lock :initform (bt:make-lock "box") :reader lock))
  (:documentation "Results that handlers on other threads leave for the test."))

(defun put (item box)
  (bt:with-lock-held ((lock box))
    (push item (items box))))

(defun contents (box)
  "The contents of BOX, in order."
  (bt:with-lock-held ((lock box))
    (reverse (items box))))

(defun start (function)
  "Runs FUNCTION on a thread. Returns the thread, and a function that waits for its end and gives
the function's value, or the error that ended it."
  (let* ((value nil)
         (thread (bt:make-thread (lambda ()
                                   (setf value (handler-case (funcall function)
                                                 (error (condition) condition)))))))
    (values thread
            (lambda ()
              (bt:join-thread thread)
              value))))

(defmacro in-thread (&body body)
  "Runs BODY on a thread. Returns a function that waits for its value."
  `(nth-value 1 (start (lambda () ,@body))))

(defun here ()
  "The directory of this system."
  (asdf:system-source-directory "dcf-thunderbolt"))

(defun header ()
  (merge-pathnames "../include/dcf_thunderbolt.h" (here)))

(defmacro with-directory ((variable) &body body)
  "Runs BODY with a fresh directory, which is removed after that."
  `(call-with-directory (lambda (,variable) ,@body)))

(defun call-with-directory (function)
  (let ((directory (uiop:ensure-directory-pathname
                    (merge-pathnames (format nil "dcf-tb-lisp-~36R" (random (expt 36 12)
                                                                      (make-random-state t)))
                                     (uiop:temporary-directory)))))
    (ensure-directories-exist directory)
    (unwind-protect (funcall function directory)
      (uiop:delete-directory-tree directory :validate t))))

;;; Other processes

(defun compile-c (source directory name &rest options)
  "Compiles the text SOURCE; returns the path of the result."
  (let ((text (merge-pathnames (concatenate 'string name ".c") directory))
        (result (uiop:native-namestring (merge-pathnames name directory))))
    (with-open-file (stream text :direction :output)
      (write-string source stream))
    (uiop:run-program `("cc" "-Wall" "-Werror" ,@options "-o" ,result
                             ,(uiop:native-namestring text))
                      :error-output :output)
    result))

(defun lisp-command (script &rest arguments)
  "The command that runs the file SCRIPT on a Lisp like this one."
  (append #+sbcl (list (uiop:native-namestring sb-ext:*runtime-pathname*) "--script")
          #+ecl (list "ecl" "--norc" "--shell")
          (list (uiop:native-namestring script))
          arguments))

(defun run-lisp (forms directory &rest environment)
  "Runs FORMS on a fresh Lisp with this system's source, and a list of VARIABLE=VALUE in its
environment. Returns all that it printed, and its exit status."
  (let ((script (merge-pathnames "script.lisp" directory)))
    (with-open-file (stream script :direction :output :if-exists :supersede)
      (with-standard-io-syntax
        (let ((*package* (find-package '#:dcf-thunderbolt/tests)))
          (format stream "(require \"asdf\")~%")
          (dolist (form `((asdf:initialize-source-registry
                           '(:source-registry (:directory ,(namestring (here)))
                             :inherit-configuration))
                          ,@forms))
            (format stream "~A~%" (if (stringp form) form (prin1-to-string form)))))))
    (multiple-value-bind (output errors status)
        (uiop:run-program `("env" ,@environment ,@(lisp-command script))
                          :output :string :error-output :output :ignore-error-status t)
      (declare (ignore errors))
      (values output status))))
