;;;; Finding the shared library, and checking its ABI.

(in-package #:dcf-thunderbolt)

(defparameter *soname* "libdcf_thunderbolt.so.1")
(defparameter *variable* "DCF_THUNDERBOLT_LIBRARY")

(defvar *source-directory* (asdf:system-source-directory "dcf-thunderbolt")
  "The directory of this system: in a build tree, the library is in its target/.")

(defvar *library* nil
  "CFFI's object for the loaded library.")

(defun built-libraries ()
  "The existing library files that cargo and make have built."
  (let ((target (uiop:getenv "CARGO_TARGET_DIR"))
        (tree (merge-pathnames "../" *source-directory*)))
    (loop with target = (if (member target '(nil "") :test #'equal)
                            (merge-pathnames "target/" tree)
                            (merge-pathnames (uiop:ensure-directory-pathname target) tree))
          for profile in '("release/" "debug/")
          for file = (probe-file (merge-pathnames
                                  (concatenate 'string profile "libdcf_thunderbolt.so") target))
          when file collect (uiop:native-namestring file))))

(defun candidates ()
  "The libraries to try, in order. If the program names one, only that."
  (let ((named (uiop:getenv *variable*)))
    (if (member named '(nil "") :test #'equal)
        (cons *soname* (built-libraries))
        (list named))))

(defun library-abi ()
  "The ABI of the loaded library; NIL if it is not libdcf_thunderbolt."
  (let ((function (cffi:foreign-symbol-pointer "dcf_tb_abi_version")))
    (and function
         (cffi:foreign-funcall-pointer function () :uint32))))

(defun wrong-library (path)
  "The reason why the library loaded from PATH is unusable; NIL if it is usable."
  (let ((abi (library-abi)))
    (cond ((null abi)
           (format nil "~A is not libdcf_thunderbolt: it has no dcf_tb_abi_version" path))
          ((/= abi +abi-version+)
           (format nil "~A has ABI ~D, and this binding was written for ABI ~D: update the older~@
                        of the two"
                   path abi +abi-version+)))))

(defun try-library (path)
  "Loads PATH. Returns the reason of a failure, or NIL."
  (handler-case
      (let* ((library (cffi:load-foreign-library path))
             (wrong (wrong-library path)))
        (if wrong
            (cffi:close-foreign-library library)
            (setf *library* library))
        wrong)
    (cffi:load-foreign-library-error (condition)
      (format nil "~A" condition))))

(defun no-library-error (reasons)
  "The failure for REASONS, which are texts."
  (make-condition
   'library-error
   :message (format nil "libdcf_thunderbolt could not be loaded. Install it, or build it with ~
                         make, or name it in the environment variable ~A.~{~%~A~}"
                    *variable* reasons)))

(defun load-library (&optional path)
  "Loads the shared library, unless it is loaded: from PATH; or else from where the environment
variable DCF_THUNDERBOLT_LIBRARY says; or else by its soname, as the system finds libraries; or
else from the build tree that this system is part of. It is called when the system is loaded, and
when a saved image starts. Signals a LIBRARY-ERROR with the reasons; its restarts are TRY-AGAIN and
USE-VALUE (another path)."
  (loop until *library*
        do (let ((reasons (loop for candidate in (if path (list path) (candidates))
                                for reason = (try-library candidate)
                                while reason collect reason)))
             (unless *library*
               (restart-case (error (no-library-error reasons))
                 (try-again ()
                   :report "Look for the library again.")
                 (use-value (other)
                   :report "Load the library from another path."
                   :interactive (lambda ()
                                  (format *query-io* "~&The library's path: ")
                                  (finish-output *query-io*)
                                  (list (read-line *query-io*)))
                   (setf path (uiop:native-namestring other)))))))
  *library*)

(defun unload-library ()
  "Forgets the library, so that LOAD-LIBRARY searches for it again."
  (when *library*
    (cffi:close-foreign-library (shiftf *library* nil))))

(with-simple-restart (continue "Go on without libdcf_thunderbolt; its first use looks again.")
  (load-library))
