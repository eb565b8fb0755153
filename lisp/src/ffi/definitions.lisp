;;;; Macros for the C interface. Every definition exports its name, and is kept in a
;;;; list, so that a test can compare it with the header.

(in-package #:dcf-thunderbolt/ffi)

(eval-when (:compile-toplevel :load-toplevel :execute)
  (defvar *constants* '() "Names of the constants.")
  (defvar *structures* '() "(NAME (SLOT TYPE...)...) of each structure.")
  (defvar *functions* '() "(NAME RESULT (ARGUMENT TYPE)...) of each function.")

  (defun c-name (name)
    "The name in C of a Lisp one: +ERR-IO+ is DCF_TB_ERR_IO, %SEND is dcf_tb_send."
    (let* ((name (string name))
           (words (substitute #\_ #\- (string-trim "%+" name))))
      (if (char= (char name 0) #\+)
          (concatenate 'string "DCF_TB_" words)
          (concatenate 'string "dcf_tb_" (string-downcase words)))))

  (defun note (name row list)
    "LIST with ROW, which takes the place of an earlier one for NAME."
    (cons row (remove name list :key (lambda (row) (if (consp row) (first row) row))))))

(defmacro define-constants (&body rows)
  "Each row is a name, a number and its meaning."
  `(eval-when (:compile-toplevel :load-toplevel :execute)
     ,@(loop for (name value documentation) in rows
             collect `(export ',name)
             collect `(defconstant ,name ,value ,documentation)
             collect `(setf *constants* (note ',name ',name *constants*)))))

(defmacro define-structure (name documentation &body slots)
  "A struct: slots are named by keywords. Later versions of the header append members; appending
the slot is all that is to be done here."
  `(progn
     (cffi:defcstruct ,name ,@slots)
     (eval-when (:compile-toplevel :load-toplevel :execute)
       (export ',name)
       (setf (get ',name 'structure-documentation) ,documentation
             *structures* (note ',name '(,name ,@slots) *structures*)))))

(defun slots (structure)
  "The names of its slots, in order."
  (mapcar #'first (rest (assoc structure *structures*))))

(defun slot-type (structure slot)
  "The C type of a slot."
  (second (assoc slot (rest (assoc structure *structures*)))))

;;; Type aliases, so that signatures read as in the header.
(cffi:defctype status :int32)
(cffi:defctype handle :uint64)

(defmacro define-function (name result arguments documentation)
  "A function, compiled into its callers: handles then need no bignum."
  `(progn
     (eval-when (:compile-toplevel :load-toplevel :execute)
       (export ',name)
       (setf *functions* (note ',name '(,name ,result ,@arguments) *functions*)))
     (declaim (inline ,name))
     (cffi:defcfun (,(c-name name) ,name) ,result
       ,documentation
       ,@arguments)))
