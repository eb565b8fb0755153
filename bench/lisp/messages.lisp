;;;; Messages, one SEND-MESSAGE each, to a message handler: the work of messages_dcf.c.

(in-package #:dcf-thunderbolt/bench)

(defun pattern (size)
  "A message: room for its number, and octets that depend on their position."
  (let ((octets (make-octets size)))
    (dotimes (i size octets)
      (setf (aref octets i) (mod (+ (* i 7) 3) 256)))))

(defun send-for-a-time (transport peer size)
  (declare (optimize speed) (type fixnum size))
  (let* ((message (pattern size))
         (start (now-ns))
         (end (+ start (the word (* 1000000 (the fixnum (number-argument "duration_ms" 1000))))))
         (sent 0))
    (declare (type octets message) (type (unsigned-byte 62) start end sent))
    (loop
      (setf (word-at message 0) sent)
      (send-message transport message peer)
      (incf sent)
      (when (and (zerop (mod sent 1024)) (>= (now-ns) end))
        (return)))
    (say "sent" sent)
    (say "send_ns" (- (now-ns) start))
    (say "cpu_ns" (cpu-ns))))

(defstruct arrivals
  (count 0 :type fixnum)
  (bad 0 :type fixnum)
  (next 0 :type (unsigned-byte 62))
  (first-ns 0 :type (unsigned-byte 62))
  (last-ns 0 :type (unsigned-byte 62)))

(declaim (inline same-behind-number-p))
(defun same-behind-number-p (one other)
  (declare (type octets one other) (optimize speed))
  (let ((size (length one)))
    (multiple-value-bind (words rest) (floor size 8)
      (and (= size (length other))
           (loop for i from 1 below words
                 always (= (word-at one (* 8 i)) (word-at other (* 8 i))))
           (loop for i from (- size rest) below size
                 always (= (aref one i) (aref other i)))))))

(defun counter (arrivals expected)
  "A handler that counts messages, and wrong ones."
  (declare (type octets expected))
  (lambda (octets sender)
    (declare (ignore sender) (type octets octets) (optimize speed))
    (let ((number (word-at octets 0)))
      (if (and (>= number (arrivals-next arrivals))
               (same-behind-number-p octets expected))
          (setf (arrivals-next arrivals) (1+ number))
          (incf (arrivals-bad arrivals))))
    (when (zerop (mod (arrivals-count arrivals) 16))
      (let ((now (now-ns)))
        (setf (arrivals-last-ns arrivals) now)
        (when (zerop (arrivals-first-ns arrivals))
          (setf (arrivals-first-ns arrivals) now))))
    (incf (arrivals-count arrivals))))

(defun receive-messages (size)
  (let* ((arrivals (make-arrivals))
         (transport (open-transport :message-handler (counter arrivals (pattern size)))))
    (serve-until-end
     (lambda ()
       (close-transport transport)
       (say "messages" (arrivals-count arrivals))
       (say "bad" (arrivals-bad arrivals))
       (say "elapsed_ns" (- (arrivals-last-ns arrivals) (arrivals-first-ns arrivals)))
       (say "cpu_ns" (cpu-ns))))))

(defun messages (role)
  (let ((size (number-argument "size" 64)))
    (if (string= role "far")
        (receive-messages size)
        (with-transport (transport)
          (send-for-a-time transport (text-argument "peer") size)))))
