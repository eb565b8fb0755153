;;;; Reading data streams.

(in-package #:dcf-thunderbolt)

(defun read-some (stream octets start end timeout)
  "Reads available octets, at least one, from the library into OCTETS from START to END.
Returns how many, 0 at the end of the stream, or NIL when TIMEOUT seconds have passed."
  (cffi:with-foreign-object (size :size)
    (in-slices (slice timeout)
      (with-pointer (pointer octets start)
        (calling ((%stream-read (stream-handle stream) pointer (- end start) slice size)
                  :stream stream)
          (+ok+ (cffi:mem-ref size :size))
          (+eof+ 0)
          ((+err-timeout+ +would-block+) nil))))))

(defun read-or-fail (stream octets start end)
  "READ-SOME with the stream's timeout, whose expiry is an error."
  (loop
    (let ((timeout (data-stream-timeout stream)))
      (let ((size (read-some stream octets start end timeout)))
        (when size
          (return size))
        (time-is-up timeout "nothing came" :stream stream)))))

;;; The buffer

(declaim (inline empty-p))
(defun empty-p (buffer)
  (= (buffer-start buffer) (buffer-end buffer)))

(defun buffered (buffer)
  "The contents of BUFFER, as fresh octets."
  (subseq (buffer-octets buffer) (buffer-start buffer) (buffer-end buffer)))

(defun take (buffer octets start end)
  "Moves as many octets as fit from BUFFER into OCTETS. Returns their number."
  (declare (type octets octets) (type index start end))
  (let* ((from (buffer-start buffer))
         (size (min (- (buffer-end buffer) from) (- end start))))
    (replace octets (buffer-octets buffer) :start1 start :start2 from :end2 (+ from size))
    (setf (buffer-start buffer) (+ from size))
    size))

(defun usable (buffer stream)
  "BUFFER, or a new one if STREAM has none yet. The buffer of a closed stream has no room."
  (cond ((plusp (length (buffer-octets buffer))) buffer)
        ((open-stream-p stream) (make-buffer +buffer+))
        (t (loop (signal-error (make-error +err-invalid-handle+
                                           (format nil "~S was used after its end" stream)
                                           :stream stream))))))

(defun refill (stream read)
  "Fills the empty buffer of STREAM by READ, a function like READ-OR-FAIL, and returns its result."
  (let* ((buffer (setf (input stream) (usable (input stream) stream)))
         (octets (buffer-octets buffer))
         (size (funcall read stream octets 0 (length octets))))
    (when size
      (setf (buffer-start buffer) 0
            (buffer-end buffer) size))
    size))

(defmethod gray:stream-read-byte ((stream data-stream))
  (if (and (empty-p (input stream))
           (zerop (refill stream #'read-or-fail)))
      :eof
      (let* ((buffer (input stream))
             (at (buffer-start buffer)))
        (setf (buffer-start buffer) (1+ at))
        (aref (buffer-octets buffer) at))))

(defmethod gray:stream-listen ((stream data-stream))
  (or (not (empty-p (input stream)))
      (let ((size (refill stream (lambda (stream octets start end)
                                   (read-some stream octets start end 0)))))
        (and size (plusp size)))))

;;; Many octets at once

(defun read-piece (stream octets start end)
  "Reads at least one octet into OCTETS, by way of the buffer when few are wanted. Returns how many,
or 0 at the end of the stream."
  (declare (type index start end))
  (cond ((not (empty-p (input stream)))
         (take (input stream) octets start end))
        ((>= (- end start) +buffer+)
         (read-or-fail stream octets start end))
        ((zerop (refill stream #'read-or-fail))
         0)
        (t
         (take (input stream) octets start end))))

(defun read-octets (stream octets start end)
  "Fills OCTETS from START to END. Returns where the stream ended, or END."
  (declare (type index start end))
  (loop while (< start end)
        do (let ((size (read-piece stream octets start end)))
             (when (zerop size)
               (return))
             (incf start (the index size))))
  start)

(defmethod gray:stream-read-sequence ((stream data-stream) sequence start end &key)
  (if (typep sequence 'octets)
      (read-octets stream sequence start end)
      (loop with piece = (make-octets (min +buffer+ (- end start)))
            while (< start end)
            do (let* ((wanted (min (length piece) (- end start)))
                      (size (read-octets stream piece 0 wanted)))
                 (replace sequence piece :start1 start :end2 size)
                 (incf start size)
                 (when (< size wanted)
                   (return start)))
            finally (return start))))

(defun read-available (stream octets &key (start 0) end (timeout (data-stream-timeout stream)))
  "Reads into OCTETS, a simple vector of octets, from START to END what there is, and waits only
when there is nothing: at most TIMEOUT seconds. Returns the number of octets read; 0 at the end of
the stream; NIL when nothing came in time."
  (check-type octets octets)
  (let ((end (or end (length octets))))
    (assert (<= 0 start end (length octets)) (start end) "~D and ~D are no bounds of a vector of ~D."
            start end (length octets))
    (cond ((= start end) 0)
          ((empty-p (input stream)) (read-some stream octets start end timeout))
          (t (take (input stream) octets start end)))))
