;;;; The header as the C compiler sees it. What there is to look at comes from the header's text, so
;;;; nothing that is appended there goes unseen.

(in-package #:dcf-thunderbolt/tests)

(defun without-comments (text)
  (with-output-to-string (out)
    (loop with start = 0
          for open = (search "/*" text :start2 start)
          do (write-string text out :start start :end open)
          while open
          do (setf start (+ 2 (search "*/" text :start2 open))))))

(defun identifier-char-p (character)
  (or (alphanumericp character) (char= character #\_)))

(defun last-identifier (text)
  "The last identifier in TEXT, and where it begins."
  (let* ((end (1+ (position-if #'identifier-char-p text :from-end t)))
         (before (position-if-not #'identifier-char-p text :from-end t :end end))
         (start (if before (1+ before) 0)))
    (values (subseq text start end) start)))

(defun starts-with-p (prefix text)
  (and (>= (length text) (length prefix))
       (string= prefix text :end2 (length prefix))))

(defun words (text)
  (remove "" (uiop:split-string text :separator '(#\Space #\Newline #\Tab)) :test #'string=))

(defun header-constants (lines)
  "Names of the macros that have a value."
  (loop for line in lines
        for (directive name value) = (words line)
        when (and (equal directive "#define") (starts-with-p "DCF_TB_" name) value)
          collect name))

(defun split-header (text)
  "The declarations at file scope: texts without what stands in braces, and that in a list."
  (loop with declarations = '() and depth = 0 and start = 0 and inside = ""
        for at from 0 below (length text)
        do (case (char text at)
             (#\{ (when (zerop depth)
                    (setf inside at))
              (incf depth))
             (#\} (decf depth)
              (when (zerop depth)
                (setf inside (subseq text (1+ inside) at))))
             (#\; (when (zerop depth)
                    (push (list (string-trim '(#\Space #\Newline) (subseq text start at)) inside)
                          declarations)
                    (setf start (1+ at)
                          inside ""))))
        finally (return (nreverse declarations))))

(defun members-of (body)
  "Names of the members that are declared in the BODY of a struct."
  (loop for declaration in (uiop:split-string body :separator ";")
        for plain = (subseq declaration 0 (position #\[ declaration))
        when (find-if #'identifier-char-p plain)
          collect (last-identifier plain)))

(defun parameter-types (text)
  "The C types of the parameters that TEXT, what stands between the brackets, declares."
  (loop for parameter in (uiop:split-string text :separator ",")
        for trimmed = (string-trim '(#\Space #\Newline) parameter)
        unless (member trimmed '("" "void") :test #'string=)
          collect (string-trim " " (subseq trimmed 0 (nth-value 1 (last-identifier trimmed))))))

(defun header-functions (declarations)
  "(NAME RESULT PARAMETER...) of each function."
  (loop for (text) in declarations
        for open = (position #\( text)
        when (and open (not (search "typedef" text)))
          collect (multiple-value-bind (name start) (last-identifier (subseq text 0 open))
                    (list* name
                           (string-trim '(#\Space #\Newline) (subseq text 0 start))
                           (parameter-types (subseq text (1+ open) (position #\) text)))))))

(defun header-structures (declarations)
  "(NAME MEMBER...) of each struct."
  (loop for (text body) in declarations
        when (and (search "typedef struct" text) (string/= body ""))
          collect (cons (last-identifier text) (members-of body))))

(defparameter *prelude* "
#include <dcf_thunderbolt.h>
#include <stdio.h>
#define KIND(x) _Generic((x), \\
    int8_t: \":SIGNED\", int16_t: \":SIGNED\", int32_t: \":SIGNED\", int64_t: \":SIGNED\", \\
    uint8_t: \":UNSIGNED\", uint16_t: \":UNSIGNED\", uint32_t: \":UNSIGNED\", \\
    uint64_t: \":UNSIGNED\", default: \":POINTER\")
#define CONSTANT(x) printf(\"(\\\"%s\\\" %lld)\\n\", #x, (long long)(x));
#define STRUCTURE(type) printf(\"(\\\"%s\\\" %zu\\n\", #type, sizeof(type));
#define MEMBER(type, m) printf(\"(\\\"%s\\\" %zu %zu %s)\\n\", #m, offsetof(type, m), \\
    sizeof(((type *)0)->m), KIND(((type *)0)->m));
#define TYPE(type) printf(\"(%s %zu)\\n\", KIND((type)0), sizeof(type));
int main(void) {
puts(\"(\");
")

(defun header-program (path)
  "A C program that prints what the compiler knows of the header: a list of lists of constants,
structures and functions."
  (let* ((lines (uiop:split-string (without-comments (uiop:read-file-string path))
                                   :separator '(#\Newline)))
         (code (remove-if (lambda (line)
                            (or (starts-with-p "#" line) (starts-with-p "extern \"C\"" line)
                                (starts-with-p "}  // extern" line)))
                          lines))
         (declarations (split-header (format nil "~{~A~%~}" code))))
    (with-output-to-string (out)
      (write-string *prelude* out)
      (format out "puts(\"(\");~%~{CONSTANT(~A)~%~}puts(\")(\");~%" (header-constants lines))
      (loop for (name . members) in (header-structures declarations)
            do (format out "STRUCTURE(~A)~%" name)
               (dolist (member members)
                 (format out "MEMBER(~A, ~A)~%" name member))
               (format out "puts(\")\");~%"))
      (format out "puts(\")(\");~%")
      (loop for (name . types) in (header-functions declarations)
            do (format out "puts(\"(\\\"~A\\\"\");~%~:[~;puts(\"(:NOTHING 0)\");~%~]~
                            ~{TYPE(~A)~%~}puts(\")\");~%"
                       name (string= "void" (first types)) (remove "void" types :test #'string=)))
      (format out "puts(\"))\");~%return 0;~%}~%"))))

(defun compiled-header ()
  "The constants, structures and functions of the header, as the compiler sees them."
  (with-directory (directory)
    (let* ((program (compile-c (header-program (header)) directory "header" "-std=c11"
                               (format nil "-I~A" (uiop:native-namestring
                                                   (uiop:pathname-directory-pathname (header))))))
           (form (uiop:run-program (list program) :output :form)))
      (values-list form))))
