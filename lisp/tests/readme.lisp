;;;; The quick start of README.md, word by word.

(in-package #:dcf-thunderbolt/tests)

(in-suite readme)

(defun quick-start ()
  "The first piece of Lisp in README.md."
  (let* ((text (uiop:read-file-string (merge-pathnames "README.md" (here)) :external-format :utf-8))
         (fence (format nil "```lisp~%"))
         (start (+ (length fence) (search fence text))))
    (subseq text start (search (format nil "~%```") text :start2 start))))

(test quick-start-as-it-is-printed
  (with-directory (directory)
    (let ((script (merge-pathnames "quick-start.lisp" directory)))
      (with-open-file (stream script :direction :output :external-format :utf-8)
        (write-string (quick-start) stream))
      (is (<= (count #\Newline (quick-start)) 10))
      (let ((output (uiop:with-current-directory ((merge-pathnames "../" (here)))
                      (uiop:run-program `("env" "LC_ALL=C.UTF-8" ,@(lisp-command script))
                                        :output :string :external-format :utf-8
                                        :error-output nil))))
        (dolist (line '("message #(1 2 3)" "round trip " "::1%lo sends 42"))
          (is-true (search line output) "~S is not in ~A" line output))))))
