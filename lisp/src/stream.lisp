;;;; Data streams: their class, opening, and closing.

(in-package #:dcf-thunderbolt)

;;; Octets buffered between the program and the library: those from START to END.
(defstruct (buffer (:constructor make-buffer (&optional (size 0) &aux (octets (make-octets size))))
                   (:constructor buffer-of (octets start end)))
  (octets nil :type octets)
  (start 0 :type index)
  (end 0 :type index))

(defconstant +buffer+ 32768 "Octets that are read or collected for single bytes.")

(defgeneric data-stream-timeout (stream)
  (:documentation "How many seconds a read or write of STREAM may wait before it signals a
TIMEOUT-ERROR; NIL, the default, has no limit."))

(defgeneric (setf data-stream-timeout) (seconds stream)
  (:documentation "Sets DATA-STREAM-TIMEOUT."))

(defgeneric data-stream-user-data (stream)
  (:documentation "Any object that the program keeps beside STREAM: NIL until it is set. It stays
when STREAM is closed, and lives as long as STREAM does."))

(defgeneric (setf data-stream-user-data) (object stream)
  (:documentation "Sets DATA-STREAM-USER-DATA."))

(defclass data-stream (gray:fundamental-binary-input-stream gray:fundamental-binary-output-stream)
  ((hold :initarg :hold :reader hold)
   (timeout :initarg :timeout :accessor data-stream-timeout)
   (user-data :initform nil :accessor data-stream-user-data)
   (input :initform (make-buffer) :accessor input)
   (output :initform (make-buffer) :accessor output))
  (:documentation "A binary stream to a peer, in both directions. It is read and written as all
binary streams of Lisp are; READ-SEQUENCE and WRITE-SEQUENCE of (UNSIGNED-BYTE 8) vectors go
straight to the library. Writes are collected: FORCE-OUTPUT, FINISH-OUTPUT and CLOSE send what was
written. One thread may read while another writes."))

(defmethod stream-element-type ((stream data-stream))
  '(unsigned-byte 8))

(defmethod print-object ((stream data-stream) out)
  (print-unreadable-object (stream out :type t :identity t)
    (format out "~:[closed~;open~]" (open-stream-p stream))))

(declaim (inline stream-handle))
(defun stream-handle (stream)
  (live (the hold (hold stream))))

(defun release-stream (hold)
  "Closes the stream of HOLD."
  (without-interrupts
    (let ((handle (live hold)))
      (setf (hold-value hold) 0)
      (unless (zerop handle)
        (%stream-close handle)))))

(defun wrap-stream (handle transport-hold timeout)
  "A Lisp stream for a new HANDLE. If the program loses it, the garbage collector closes it."
  (let* ((hold (make-hold handle transport-hold))
         (stream (make-instance 'data-stream :hold hold :timeout timeout)))
    (trivial-garbage:finalize stream (lambda () (release-stream hold)))))

;;; Opening

(defun open-data-stream (transport peer &key (connect-timeout 10) timeout)
  "Opens a data stream to PEER, within CONNECT-TIMEOUT seconds. TIMEOUT becomes its
DATA-STREAM-TIMEOUT. WITH-DATA-STREAM also closes it."
  (cffi:with-foreign-object (handle :uint64)
    (loop
      (with-peer (pointer peer)
        (let ((stream
                (in-slices (slice connect-timeout :growing t)
                  (calling ((%open-stream (handle transport) pointer (max 1 slice) handle))
                    (+ok+ (wrap-stream (cffi:mem-ref handle :uint64) (hold transport) timeout))
                    (+err-timeout+ nil)))))
          (when stream
            (return stream))))
      (time-is-up connect-timeout (format nil "no connection to ~A" peer)))))

(defun accept (hold slice timeout)
  "Waits at most SLICE ms for a stream that a peer opens to the transport of HOLD."
  (cffi:with-foreign-object (handle :uint64)
    (calling ((%accept (live hold) slice handle))
      (+ok+ (wrap-stream (cffi:mem-ref handle :uint64) hold timeout))
      ((+err-timeout+ +would-block+) nil))))

(defun accept-data-stream (transport &key accept-timeout timeout)
  "Takes the oldest data stream that a peer opened, and that no stream handler took; waits for one,
at most ACCEPT-TIMEOUT seconds, and returns NIL when none came. TIMEOUT becomes its
DATA-STREAM-TIMEOUT."
  (in-slices (slice accept-timeout)
    (accept (hold transport) slice timeout)))

(defmacro with-data-stream ((variable transport peer &rest options) &body body)
  "Runs BODY with VARIABLE bound to a data stream that OPEN-DATA-STREAM opens, and closes it."
  `(with-open-stream (,variable (open-data-stream ,transport ,peer ,@options))
     ,@body))

;;; Properties

(defun data-stream-peer (stream)
  "The address of the peer of STREAM, without a port."
  (text-from-library
   (lambda (text size length)
     (calling ((%stream-peer (stream-handle stream) text size length) :stream stream)
       (+ok+ t)))))

(defun call-for-descriptor (stream call)
  "The descriptor that CALL stores at a pointer."
  (cffi:with-foreign-object (descriptor :int32)
    (calling ((funcall call descriptor) :stream stream)
      (+ok+ (cffi:mem-ref descriptor :int32)))))

(defun data-stream-descriptor (stream)
  "The descriptor of STREAM, for poll(2). It is the library's: never close it. What is in the
stream's own buffer does not show there: LISTEN first."
  (call-for-descriptor stream (lambda (pointer) (%stream-fd (stream-handle stream) pointer))))

;;; Closing

(defun finish-data-stream (stream)
  "Sends what was written and ends our direction: the peer reads it, and then the end of the
stream. Reading goes on; STREAM is still to be closed."
  (finish-output stream)
  (calling ((%stream-finish (stream-handle stream)) :stream stream)
    (+ok+ t)))

(defun detach-data-stream (stream)
  "Takes the socket out of STREAM, which is closed thereby. Returns its descriptor, in blocking
mode, which is the caller's to close; and the octets that were read from it already."
  (finish-output stream)
  (let ((descriptor (call-for-descriptor
                     stream
                     (lambda (pointer) (%stream-detach (stream-handle stream) pointer))))
        (rest (buffered (input stream))))
    (close stream :abort t)
    (values descriptor rest)))

(defmethod close ((stream data-stream) &key abort)
  (when (open-stream-p stream)
    (unwind-protect
         (unless abort
           (flush stream))
      (release-stream (hold stream))
      ;; Only now: if this is interrupted before, the garbage collector still closes the stream.
      (trivial-garbage:cancel-finalization stream)
      ;; Without room in the buffers, every read and write goes to the library, which refuses it.
      (setf (input stream) (make-buffer)
            (output stream) (make-buffer))
      (call-next-method)))
  t)
