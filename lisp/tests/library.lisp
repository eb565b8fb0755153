;;;; Finding the shared library: each time on a fresh Lisp.

(in-package #:dcf-thunderbolt/tests)

(in-suite library)

(defun loaded-library ()
  "The file of the library that this process has loaded."
  (with-open-file (maps "/proc/self/maps")
    (loop for line = (read-line maps nil)
          for path = (and line (search "/" line))
          while line
          when (and path (search "libdcf_thunderbolt" line :start2 path))
            return (subseq line path))))

(defun link-library (path)
  "Makes PATH a link to the library."
  (ensure-directories-exist path)
  (uiop:run-program `("ln" "-s" ,(loaded-library) ,(uiop:native-namestring path)))
  path)

(defparameter *load*
  "(handler-bind ((error (lambda (condition)
                           (format t \"~&<~A>~%\" condition)
                           (finish-output)
                           (uiop:quit 3))))
     (asdf:load-system \"dcf-thunderbolt\")
     (format t \"~&version ~A~%\"
             (uiop:symbol-call '#:dcf-thunderbolt '#:library-version)))")

(defun load-with (directory &rest environment)
  "The output of a fresh Lisp that loads the system."
  (apply #'run-lisp (list *load*) directory "-u" "DCF_THUNDERBOLT_LIBRARY" environment))

(defun version-p (output)
  (search (format nil "version ~A" (library-version)) output))

(test by-environment-variable
  (with-directory (directory)
    (let ((elsewhere (link-library (merge-pathnames "elsewhere.so" directory))))
      (is-true (version-p (load-with directory (format nil "DCF_THUNDERBOLT_LIBRARY=~A"
                                                       (uiop:native-namestring elsewhere))))))))

(test by-soname
  (with-directory (directory)
    (link-library (merge-pathnames "libdcf_thunderbolt.so.1" directory))
    (is-true (version-p (load-with directory
                                   (format nil "LD_LIBRARY_PATH=~A"
                                           (uiop:native-namestring directory))
                                   "CARGO_TARGET_DIR=/nonexistent")))))

(test in-the-build-tree
  (with-directory (directory)
    (link-library (merge-pathnames "release/libdcf_thunderbolt.so" directory))
    (is-true (version-p (load-with directory
                                   (format nil "CARGO_TARGET_DIR=~A"
                                           (uiop:native-namestring directory)))))))

(defun complaint (directory library)
  "The output of a fresh Lisp whose environment variable names LIBRARY."
  (multiple-value-bind (output status)
      (load-with directory (format nil "DCF_THUNDERBOLT_LIBRARY=~A" library))
    (is (eql 3 status) "~A" output)
    output))

(test a-named-library-is-the-only-one-tried
  (with-directory (directory)
    (let ((output (complaint directory "/nonexistent/lib.so")))
      (is-true (search "/nonexistent/lib.so" output) "~A" output)
      (is-true (search "DCF_THUNDERBOLT_LIBRARY" output) "~A" output))))

(test another-abi
  (with-directory (directory)
    (let ((output (complaint directory
                             (compile-c "unsigned dcf_tb_abi_version(void) { return 7; }"
                                        directory "seven" "-shared" "-fPIC"))))
      (is-true (search "has ABI 7" output) "~A" output)
      (is-true (search "ABI 1" output) "~A" output))))

(test a-file-that-is-another-library
  (with-directory (directory)
    (let ((output (complaint directory
                             (compile-c "int other(void) { return 7; }"
                                        directory "other" "-shared" "-fPIC"))))
      (is-true (search "is not libdcf_thunderbolt" output) "~A" output))))

(defun load-with-restart (directory restart &rest arguments)
  "The output of a fresh Lisp that handles the missing library by a restart."
  (run-lisp `(,(format nil "(handler-bind ((error (lambda (condition)
                                   (declare (ignorable condition))
                                   (invoke-restart (find-restart '~A)~{ ~S~}))))
                      (asdf:load-system \"dcf-thunderbolt\"))
                    (setf (uiop:getenv \"DCF_THUNDERBOLT_LIBRARY\") ~S)
                    (format t \"~~&version ~~A~~%\"
                            (uiop:symbol-call '#:dcf-thunderbolt '#:library-version))"
                       restart arguments (loaded-library)))
            directory "DCF_THUNDERBOLT_LIBRARY=/nonexistent/lib.so"))

(test another-path-as-a-restart
  (with-directory (directory)
    (is-true (version-p (load-with-restart directory 'use-value (loaded-library))))))

(test going-on-without-it
  (with-directory (directory)
    (is-true (version-p (load-with-restart directory 'continue)))))
