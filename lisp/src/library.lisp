;;;; Finding the shared library, and seeing that it is the right one.

(in-package #:dcf-thunderbolt)

(defparameter *soname* "libdcf_thunderbolt.so.1")
(defparameter *variable* "DCF_THUNDERBOLT_LIBRARY")

(defvar *source-directory* (asdf:system-source-directory "dcf-thunderbolt")
  "Where this system is: in a build tree, the library is in its target/.")

(defvar *library* nil
  "The library that is loaded, as CFFI knows it.")

(defun built-libraries ()
  "Where cargo and make put the library, as far as the files exist."
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
  "What to try, in order. Who names a library wants that one and no other."
  (let ((named (uiop:getenv *variable*)))
    (if (member named '(nil "") :test #'equal)
        (cons *soname* (built-libraries))
        (list named))))

(defun library-abi ()
  "The ABI of what was loaded; NIL when it is another library altogether."
  (let ((function (cffi:foreign-symbol-pointer "dcf_tb_abi_version")))
    (and function
         (cffi:foreign-funcall-pointer function () :uint32))))

(defun wrong-library (path)
  "Why the library that was loaded from PATH is not ours; NIL when it is."
  (let ((abi (library-abi)))
    (cond ((null abi)
           (format nil "~A is not libdcf_thunderbolt: it has no dcf_tb_abi_version" path))
          ((/= abi +abi-version+)
           (format nil "~A has ABI ~D, and this binding was written for ABI ~D: update the older~@
                        of the two"
                   path abi +abi-version+)))))

(defun try-library (path)
  "Loads PATH. Returns why it did not, or NIL."
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
  "Forgets the library, so that LOAD-LIBRARY looks for it anew."
  (when *library*
    (cffi:close-foreign-library (shiftf *library* nil))))

(with-simple-restart (continue "Go on without libdcf_thunderbolt; its first use looks again.")
  (load-library))
