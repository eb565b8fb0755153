;;;; Files over data streams.

(in-package #:dcf-thunderbolt/tests)

(in-suite files)

(defun write-file (path octets)
  (with-open-file (stream path :direction :output :element-type '(unsigned-byte 8)
                               :if-exists :supersede)
    (write-sequence octets stream))
  path)

(defun read-file (path)
  (with-open-file (stream path :element-type '(unsigned-byte 8))
    (let ((octets (pattern (file-length stream))))
      (read-sequence octets stream)
      octets)))

(defmacro with-files ((near far from to octets) &body body)
  "Runs BODY with the ends of a stream, a file FROM that has OCTETS, and a path TO without a file."
  `(with-directory (directory)
     (let ((,from (write-file (merge-pathnames "from" directory) ,octets))
           (,to (merge-pathnames "to" directory)))
       (declare (ignorable ,from))
       (with-streams (,near ,far)
         ,@body))))

(test a-file
  (dolist (size '(0 1 4096 3000000))
    (let ((octets (pattern size)))
      (with-files (near far from to octets)
        (let ((receiving (in-thread (receive-file far to))))
          (is (= size (send-file near from)))
          (finish-data-stream near)
          (is (eql size (funcall receiving)))
          (is (equalp octets (read-file to))))))))

(test parts-of-a-file
  (let ((octets (pattern 100000)))
    (with-files (near far from to octets)
      (write-byte 42 near)
      (is (= 90000 (send-file near from :start 10000)))
      (is (= 5 (send-file near from :start 5 :end 10)))
      (is (= 0 (send-file near from :start 100000)))
      (is (= 0 (send-file near from :start 200000)))
      (force-output near)
      (is (= 42 (read-byte far)) "what was written before comes before")
      (is (= 90000 (receive-file far to :count 90000)))
      (is (equalp (subseq octets 10000) (read-file to)))
      (is (= 5 (receive-file far to :count 5 :if-exists :supersede)))
      (is (equalp (subseq octets 5 10) (read-file to))))))

(test buffered-octets-come-first
  (let ((octets (pattern 1000)))
    (with-files (near far from to octets)
      (send-file near from)
      (is (= (aref octets 0) (read-byte far)) "now there is more in the buffer")
      (eventually (listen far))
      (is (= 10 (receive-file far to :count 10)))
      (is (equalp (subseq octets 1 11) (read-file to)))
      (finish-data-stream near)
      (is (= 989 (receive-file far to :if-exists :overwrite)))
      (is (equalp (subseq octets 11) (read-file to))))))

(test files-that-end-too-early
  (let ((octets (pattern 1000)))
    (with-files (near far from to octets)
      (handler-case (progn (send-file near from :start 100 :end 2000)
                           (fail "more was sent than there is"))
        (end-of-data-error (condition)
          (is (= 900 (error-transferred condition)))
          (is (search "from" (error-message condition)))))
      (finish-data-stream near)
      (handler-case (progn (receive-file far to :count 1000)
                           (fail "more was received than there is"))
        (end-of-data-error (condition)
          (is (= 900 (error-transferred condition)))
          (is (eq far (stream-error-stream condition))))))))

(test files-that-exist-or-do-not
  (with-files (near far from to (pattern 10))
    (signals file-error (send-file near (merge-pathnames "nonexistent" to)))
    (signals file-error (receive-file far from))
    (is (equalp (pattern 10) (read-file from)))
    (signals type-error (receive-file far to :if-exists :append))))

(test a-file-that-takes-too-long
  (with-files (near far from to (pattern 30000000))
    (handler-case (progn (send-file near from :timeout 0.05)
                         (fail "nobody reads, and all was sent"))
      (timeout-error (condition)
        (is (< 0 (error-transferred condition) 30000000))))
    (signals timeout-error (receive-file far to :count 31000000 :timeout 0.5))))
