;;;; Octets and peer strings for calls of the library.

(in-package #:dcf-thunderbolt)

(deftype octet () '(unsigned-byte 8))
(deftype octets () "What foreign code can be given a pointer into." '(simple-array octet (*)))
(deftype index () '(integer 0 #.array-dimension-limit))

(declaim (inline make-octets))
(defun make-octets (size)
  (make-array size :element-type 'octet))

(defun octets (vector start end)
  "VECTOR as octets, and the bounds of its part from START to END in there: itself if it can be
had by pointer, else a copy of the part."
  (check-type vector vector)
  (let ((end (or end (length vector))))
    (unless (<= 0 start end (length vector))
      (error 'type-error :datum (cons start end) :expected-type `(integer 0 ,(length vector))))
    (if (typep vector 'octets)
        (values vector start end)
        (let ((copy (make-octets (- end start))))
          (values (replace copy vector :start2 start :end2 end) 0 (- end start))))))

(defmacro with-pointer ((pointer octets start) &body body)
  "Runs BODY with POINTER to the octet of OCTETS at START. They stay where they are meanwhile, so
BODY has to be one call of the library."
  (let ((base (gensym "BASE")))
    `(cffi:with-pointer-to-vector-data (,base (the octets ,octets))
       (let ((,pointer (cffi:inc-pointer ,base ,start)))
         ,@body))))

;;; A peer string is needed with every message, so it goes onto the stack; a pointer into the heap
;;; and an encoder would take longer than the rest of the call.

(defconstant +stack-peer+ 128 "Octets for a peer on the stack, with its NUL.")

(declaim (inline copy-ascii))
(defun copy-ascii (string octets)
  "Copies STRING and a NUL into OCTETS if it is short and plain. Returns whether it was."
  (declare (type octets octets))
  (let ((length (length string)))
    (when (< length (length octets))
      (dotimes (i length)
        (let ((code (char-code (schar string i))))
          (if (< 0 code 128)
              (setf (aref octets i) code)
              (return-from copy-ascii nil))))
      (setf (aref octets length) 0)
      t)))

(defun copy-peer (string octets)
  (etypecase string
    ((simple-array character (*)) (copy-ascii string octets))
    (simple-base-string (copy-ascii string octets))
    (string (copy-peer (coerce string 'simple-string) octets))))

(defmacro with-c-string ((pointer string) &body body)
  "Runs BODY with POINTER to STRING as a C string."
  `(cffi:with-foreign-string (,pointer (checked-c-string ,string) :encoding :utf-8)
     ,@body))

(defun checked-c-string (string)
  "STRING. Signals an error if it contains a NUL, where C would cut it."
  (check-type string string)
  (when (find (code-char 0) string)
    (error (make-error +err-invalid-address+ (format nil "~S has a NUL in it" string))))
  string)

(defmacro with-peer ((pointer peer) &body body)
  "Runs BODY with POINTER to PEER as a C string."
  (let ((octets (gensym "OCTETS")) (string (gensym "PEER")))
    `(let ((,string ,peer)
           (,octets (make-octets +stack-peer+)))
       (declare (dynamic-extent ,octets))
       (flet ((body (,pointer) ,@body))
         (declare (dynamic-extent #'body))
         (if (copy-peer ,string ,octets)
             (cffi:with-pointer-to-vector-data (pointer ,octets)
               (body pointer))
             (with-c-string (pointer ,string)
               (body pointer)))))))

(defun text-from-library (call)
  "A text that CALL copies: a function of a buffer, its size and a pointer to the length."
  (cffi:with-foreign-object (length :size)
    (cffi:with-foreign-pointer-as-string ((text size) +peer-size+)
      (funcall call text size length))))
