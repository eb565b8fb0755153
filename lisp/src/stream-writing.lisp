;;;; Writing data streams.

(in-package #:dcf-thunderbolt)

(defun write-buffer (stream buffer)
  "Writes the contents of BUFFER. If that fails, the rest stays there."
  (let ((timeout (data-stream-timeout stream))
        (first (buffer-start buffer)))
    (cffi:with-foreign-object (size :size)
      (flet ((advance ()
               ;; The library reports the written count on errors, too.
               (incf (buffer-start buffer) (shiftf (cffi:mem-ref size :size) 0))
               (- (buffer-start buffer) first)))
        (setf (cffi:mem-ref size :size) 0)
        (loop until (in-slices (slice timeout)
                      (with-pointer (pointer (buffer-octets buffer) (buffer-start buffer))
                        (calling ((%stream-write (stream-handle stream) pointer
                                                 (- (buffer-end buffer) (buffer-start buffer))
                                                 slice size)
                                  :stream stream :transferred (advance))
                          (+ok+ (advance) t)
                          ((+err-timeout+ +would-block+) (advance) nil))))
              do (time-is-up timeout "the peer did not take all" :stream stream
                             :transferred (advance)))))))

(defun flush (stream)
  "Writes the buffered octets."
  (let ((buffer (output stream)))
    (unless (empty-p buffer)
      (write-buffer stream buffer)
      (setf (buffer-start buffer) 0
            (buffer-end buffer) 0))
    nil))

(defmethod gray:stream-force-output ((stream data-stream))
  (flush stream))

(defmethod gray:stream-finish-output ((stream data-stream))
  (flush stream))

(defmethod gray:stream-clear-output ((stream data-stream))
  (let ((buffer (output stream)))
    (setf (buffer-start buffer) 0
          (buffer-end buffer) 0)
    nil))

(declaim (inline free))
(defun free (buffer)
  "The number of octets that still fit into BUFFER."
  (- (length (buffer-octets buffer)) (buffer-end buffer)))

(defun make-room (stream)
  "An empty output buffer of STREAM."
  (setf (output stream) (usable (output stream) stream))
  (flush stream)
  (output stream))

(defmethod gray:stream-write-byte ((stream data-stream) byte)
  (let ((buffer (output stream)))
    (when (zerop (free buffer))
      (setf buffer (make-room stream)))
    (setf (aref (buffer-octets buffer) (buffer-end buffer)) byte)
    (incf (buffer-end buffer))
    byte))

;;; Many octets at once

(defun collect (buffer octets start end)
  "Appends OCTETS from START to END to BUFFER, which has room for them."
  (declare (type octets octets) (type index start end))
  (replace (buffer-octets buffer) octets :start1 (buffer-end buffer) :start2 start :end2 end)
  (incf (buffer-end buffer) (- end start)))

(defun write-octets (stream octets start end)
  (declare (type index start end))
  (let ((size (- end start)))
    (cond ((<= size (free (output stream)))
           (collect (output stream) octets start end))
          ((< size +buffer+)
           (collect (make-room stream) octets start end))
          (t
           (flush stream)
           (write-buffer stream (buffer-of octets start end))))))

(defmethod gray:stream-write-sequence ((stream data-stream) sequence start end &key)
  (if (typep sequence 'octets)
      (write-octets stream sequence start end)
      (loop with piece = (make-octets (min +buffer+ (- end start)))
            while (< start end)
            do (let ((size (min (length piece) (- end start))))
                 (replace piece sequence :end1 size :start2 start)
                 (write-octets stream piece 0 size)
                 (incf start size))))
  sequence)
