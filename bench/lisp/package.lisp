;;;; Helpers of the works: arguments, results, clocks. They correspond to bench.h of the C programs.

(defpackage #:dcf-thunderbolt/bench
  (:use #:common-lisp #:dcf-thunderbolt)
  (:documentation "The binding's side of the benchmark. SBCL only, because it reads words from octets.")
  (:export #:main))

(in-package #:dcf-thunderbolt/bench)

(deftype octets () '(simple-array (unsigned-byte 8) (*)))
(deftype word () '(unsigned-byte 64))

(defvar *arguments* '()
  "The command line: the role, and then NAME=VALUE.")

(defun text-argument (name &optional otherwise)
  (let ((start (concatenate 'string name "=")))
    (dolist (argument *arguments* otherwise)
      (when (eql (mismatch start argument) (length start))
        (return (subseq argument (length start)))))))

(defun number-argument (name otherwise)
  (let ((text (text-argument name)))
    (if text (parse-integer text) otherwise)))

(defun say (name value)
  (format t "~A ~D~%" name value))

(defun serve-until-end (result)
  "Prints that the peer can begin, waits for the end of the input, and then prints the results of RESULT."
  (format t "ready~%")
  (finish-output)
  (loop while (read-line *standard-input* nil))
  (funcall result))

;;; Constants of Linux.
(defconstant +monotonic+ 1)
(defconstant +process-cputime+ 2)

(declaim (inline clock-ns now-ns))
(defun clock-ns (clock)
  (multiple-value-bind (seconds nanoseconds) (sb-unix::clock-gettime clock)
    (declare (type (unsigned-byte 32) seconds nanoseconds))
    (+ (* seconds 1000000000) nanoseconds)))

(defun now-ns ()
  (clock-ns +monotonic+))

(defun cpu-ns ()
  "Processor time of this process, all threads."
  (clock-ns +process-cputime+))

(defun machine-busy-ns ()
  "Busy time of all processors of this machine together, with a resolution of 10 ms."
  (with-open-file (stat "/proc/stat")
    (with-input-from-string (line (read-line stat))
      (read line)
      (destructuring-bind (user nice system idle io irq soft)
          (loop repeat 7 collect (read line))
        (declare (ignore idle io))
        (* (+ user nice system irq soft) 10000000)))))

;;; Octets as words

(declaim (inline word-at (setf word-at)))
(defun word-at (octets at)
  "The eight octets from AT on as the machine reads them."
  (declare (type octets octets) (type (integer 0 #.(expt 2 40)) at))
  (sb-sys:with-pinned-objects (octets)
    (sb-sys:sap-ref-64 (sb-sys:vector-sap octets) at)))

(defun (setf word-at) (word octets at)
  (declare (type word word) (type octets octets) (type (integer 0 #.(expt 2 40)) at))
  (sb-sys:with-pinned-objects (octets)
    (setf (sb-sys:sap-ref-64 (sb-sys:vector-sap octets) at) word)))

(defun make-octets (size)
  (make-array size :element-type '(unsigned-byte 8) :initial-element 0))
