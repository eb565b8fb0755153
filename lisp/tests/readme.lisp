;;;; The quick start of README.md, run as it is written.

(in-package #:dcf-thunderbolt/tests)

(in-suite readme)

(defun readme ()
  (uiop:read-file-string (merge-pathnames "README.md" (here)) :external-format :utf-8))

(defun quick-start ()
  "The first Lisp block of README.md."
  (let* ((text (readme))
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

(defun mentioned-p (name text)
  "Whether NAME stands in TEXT as a word of its own."
  (flet ((part-p (position)
           (and (array-in-bounds-p text position)
                (or (alphanumericp (char text position))
                    (find (char text position) "-*%")))))
    (loop for start = (search name text) then (search name text :start2 (1+ start))
          while start
          thereis (not (or (part-p (1- start))
                           (part-p (+ start (length name))))))))

(test every-export-is-explained
  (let ((text (readme)))
    (do-external-symbols (symbol '#:dcf-thunderbolt)
      (is-true (mentioned-p (string-downcase symbol) text) "README.md has no ~(~A~)" symbol))))
