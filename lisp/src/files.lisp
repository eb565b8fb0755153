;;;; Files over data streams, by the library: inside the kernel where possible.

(in-package #:dcf-thunderbolt)

(defun descriptor (file)
  "The descriptor of a Lisp stream to a file."
  #+sbcl (sb-sys:fd-stream-fd file)
  #+ecl (ext:file-stream-fd file)
  #-(or sbcl ecl) (error "~A does not say how to get the descriptor of ~S."
                         (lisp-implementation-type) file))

(defun transfer (stream call offset count timeout transferred)
  "Moves COUNT octets between STREAM and a file from OFFSET on. CALL is the library's function on a
handle, an offset, a count, a time and a pointer. Returns how many moved and whether that was all:
fewer when one of the two ended. TRANSFERRED octets went before."
  (declare (type function call))
  (let ((done 0))
    (cffi:with-foreign-object (size :uint64)
      (flet ((advance ()
               (incf done (shiftf (cffi:mem-ref size :uint64) 0))
               (+ transferred done)))
        (setf (cffi:mem-ref size :uint64) 0)
        (loop
          (let ((result (in-slices (slice timeout)
                          (calling ((funcall call (stream-handle stream) (+ offset done)
                                             (- count done) slice size)
                                    :stream stream :transferred (advance))
                            (+ok+ (advance) :all)
                            (+eof+ (advance) :end)
                            ((+err-timeout+ +would-block+) (advance) nil)))))
            (when result
              (return (values done (eq result :all))))
            (time-is-up timeout "the file was not transferred" :stream stream
                        :transferred (advance))))))))

(defun fail-at-end (what stream transferred)
  (error (make-error +eof+ (format nil "~A ended after ~D octets" what transferred)
                     :stream stream :transferred transferred)))

(defun send-file (stream file &key (start 0) end timeout)
  "Sends the octets of FILE, a pathname, from START to END, or to its end. Returns their number.
TIMEOUT are the seconds that all of it may take. A file that ends before END is an
END-OF-DATA-ERROR."
  (with-open-file (input file :element-type 'octet)
    (let* ((descriptor (descriptor input))
           (count (- (or end (max start (file-length input))) start)))
      (finish-output stream)
      (multiple-value-bind (sent all)
          (transfer stream
                    (lambda (handle offset count slice size)
                      (%stream-send-file handle descriptor offset count slice size))
                    start count timeout 0)
        (unless all
          (fail-at-end file stream sent))
        sent))))

(defconstant +most+ (ash 1 40) "Octets of a file that a call is asked for when there is no limit.")

(defun receive-rest (stream descriptor offset count timeout)
  "Receives COUNT octets, or without it all that come, into a file at OFFSET. Returns where that
ends in the file, and whether all came."
  (loop
    (multiple-value-bind (received all)
        (transfer stream
                  (lambda (handle offset count slice size)
                    (%stream-receive-file handle descriptor offset count slice size))
                  offset (or count +most+) timeout offset)
      (incf offset received)
      (when (or count (not all))
        (return (values offset all))))))

(defun receive-file (stream file &key count (if-exists :error) timeout)
  "Receives COUNT octets, or without COUNT all until the peer ends the stream, into FILE, a
pathname. Returns their number. IF-EXISTS is :ERROR, :SUPERSEDE or :OVERWRITE, as for OPEN. TIMEOUT
are the seconds that all of it may take. A stream that ends before COUNT is an END-OF-DATA-ERROR;
then, and whenever it fails, the file is given up as WITH-OPEN-FILE does that."
  (check-type if-exists (member :error :supersede :overwrite))
  (with-open-file (output file :direction :output :element-type 'octet :if-exists if-exists
                               :if-does-not-exist :create)
    (let* ((buffer (input stream))
           (size (- (buffer-end buffer) (buffer-start buffer)))
           (first (make-octets (if count (min count size) size))))
      ;; Octets that were read from the library already come first.
      (take buffer first 0 (length first))
      (write-sequence first output)
      (finish-output output)
      (multiple-value-bind (end all)
          (receive-rest stream (descriptor output) (length first)
                        (and count (- count (length first))) timeout)
        (unless (or all (null count))
          (fail-at-end "the stream" stream end))
        end))))
