;;;; One stream, WRITE-SEQUENCE and READ-SEQUENCE of pieces: the work of stream_dcf.c.

(in-package #:dcf-thunderbolt/bench)

(defun numbered-words (size)
  (let ((octets (make-octets size)))
    (loop for at from 0 below size by 8
          do (setf (word-at octets at) at))
    octets))

(defun write-pieces (transport peer piece bytes)
  "Writes BYTES and waits until the peer reports how many it received."
  (with-data-stream (stream transport peer)
    (let ((octets (numbered-words piece))
          (answer (make-octets 8)))
      (loop for sent from 0 below bytes by piece
            do (write-sequence octets stream :end (min piece (- bytes sent))))
      (finish-data-stream stream)
      (unless (and (= 8 (read-sequence answer stream))
                   (= bytes (word-at answer 0)))
        (error "~D of ~D bytes arrived" (word-at answer 0) bytes)))))

(defun bad-octets (octets end step)
  "The number of wrong octets in OCTETS, a piece; checks a word every STEP octets."
  (declare (optimize speed) (type octets octets) (type (integer 0 #.(expt 2 40)) end step))
  (let ((bad 0))
    (declare (type fixnum bad))
    (loop for at of-type (integer 0 #.(expt 2 41)) from 0 by step
          while (<= (+ at 8) end)
          unless (= at (word-at octets at))
            do (incf bad 8))
    bad))

(defun read-pieces (stream piece step)
  "Reads to the end. Returns the number of octets, and the number of wrong ones."
  (loop with octets = (make-octets piece)
        for size = (read-sequence octets stream)
        sum size into bytes
        sum (bad-octets octets size step) into bad
        while (= size piece)
        finally (return (values bytes bad))))

(defun receive-stream (piece step)
  (let* ((lock (sb-thread:make-mutex))
         (all-bytes 0)
         (all-bad 0)
         (transport
           (open-transport
            :stream-handler
            (lambda (stream peer)
              (declare (ignore peer))
              (multiple-value-bind (bytes bad) (read-pieces stream piece step)
                (let ((answer (make-octets 8)))
                  (setf (word-at answer 0) bytes)
                  (sb-thread:with-mutex (lock)
                    (incf all-bytes bytes)
                    (incf all-bad bad))
                  (write-sequence answer stream)))))))
    (serve-until-end
     (lambda ()
       (close-transport transport)
       (say "bytes" all-bytes)
       (say "bad" all-bad)))))

(defun streams (role)
  (let ((piece (number-argument "piece" (ash 256 10)))
        (bytes (number-argument "bytes" (ash 1 30)))
        (step (if (= 0 (number-argument "verify" 0)) 4096 8)))
    (if (string= role "far")
        (receive-stream piece step)
        (with-transport (transport)
          (let ((busy (machine-busy-ns))
                (start (now-ns)))
            (write-pieces transport (text-argument "peer") piece bytes)
            (say "elapsed_ns" (- (now-ns) start))
            (say "machine_busy_ns" (- (machine-busy-ns) busy))
            (say "bytes" bytes))))))
