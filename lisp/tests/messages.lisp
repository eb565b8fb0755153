;;;; Control messages.

(in-package #:dcf-thunderbolt/tests)

(in-suite messages)

(defmacro with-pair ((here there) &body body)
  `(with-loopback (,here)
     (with-loopback (,there)
       ,@body)))

(test sizes
  (with-pair (here there)
    (dolist (size '(0 1 15 16 17 64 1500 65507))
      (let ((message (pattern size)))
        (is (= size (send-message here message (control-peer there))))
        (multiple-value-bind (octets sender) (receive-message there :timeout +generous+)
          (is (equalp message octets))
          (is (typep octets '(simple-array (unsigned-byte 8) (*))))
          (is (string= (control-peer here) sender))
          (send-message there octets sender)
          (is (equalp message (receive-message here :timeout +generous+))))))
    (signals message-too-large-error
      (send-message here (pattern 65508) (control-peer there)))))

(test several-at-once
  (with-pair (here there)
    (is (null (receive-messages there :timeout 0)))
    (let ((sizes '(3 0 65507 1 16 2)) (got '()))
      (dolist (size sizes)
        (send-message here (pattern size) (control-peer there)))
      (loop while (< (length got) (length sizes))
            do (let ((batch (receive-messages there :timeout +generous+ :most 2)))
                 (is (<= 1 (length batch) 2))
                 (setf got (append got batch))))
      (loop for size in sizes
            for (octets . sender) in got
            do (is (equalp (pattern size) octets))
               (is (typep octets '(simple-array (unsigned-byte 8) (*))))
               (is (string= (control-peer here) sender))))
    (signals type-error (receive-messages there :most 0))))

(test any-vector-of-octets
  (with-pair (here there)
    (let* ((octets (pattern 100))
           (adjustable (make-array 150 :element-type '(unsigned-byte 8) :adjustable t
                                       :fill-pointer 100)))
      (replace adjustable octets)
      (dolist (vector (list octets
                            (coerce octets 'simple-vector)
                            adjustable
                            (make-array 100 :element-type '(unsigned-byte 8)
                                            :displaced-to (concatenate '(vector (unsigned-byte 8))
                                                                       (octets 9 9) octets)
                                            :displaced-index-offset 2)))
        (send-message here vector (control-peer there))
        (is (equalp octets (receive-message there :timeout +generous+)))
        (is (= 10 (send-message here vector (control-peer there) :start 20 :end 30)))
        (is (equalp (subseq octets 20 30) (receive-message there :timeout +generous+)))))
    (signals type-error (send-message here #(1 2 256) (control-peer there)))
    (signals type-error (send-message here #(1 2 :three) (control-peer there)))
    (signals type-error (send-message here '(1 2 3) (control-peer there)))
    (signals type-error (send-message here (octets 1 2 3) (control-peer there) :start 2 :end 1))
    (signals type-error (send-message here (octets 1 2 3) (control-peer there) :end 4))
    (signals type-error (send-message here (octets 1 2 3) :there))))

(test any-string-as-a-peer
  (with-pair (here there)
    (let ((peer (control-peer there)))
      (dolist (string (list (coerce peer 'simple-base-string)
                            (coerce peer '(simple-array character (*)))
                            (make-array (length peer) :element-type 'character :adjustable t
                                                      :initial-contents peer)))
        (send-message here (octets 1) string)
        (is (equalp (octets 1) (receive-message there :timeout +generous+)))))
    (dolist (string (list "" "fe80::1" "1.2.3.4" "häuschen" (format nil "::1%lo~C" (code-char 0))
                          (make-string 1000 :initial-element #\1)
                          (make-string 1000 :initial-element #\ä)))
      (handler-case (progn (send-message here (octets 1) string)
                           (fail "~S was taken for a peer" string))
        (invalid-address-error (condition)
          (is (plusp (length (error-message condition)))))
        (link-down-error (condition)    ; a valid address of an absent host
          (is (string= string "fe80::1") "~A" condition))))))

(test order-and-batches
  (with-pair (here there)
    (let ((messages (loop for size from 0 below 600 collect (pattern size size))))
      (is (= 600 (send-messages here messages (control-peer there))))
      (is (loop for message in messages
                always (equalp message (receive-message there :timeout +generous+))))
      (is (= 600 (send-messages here (coerce messages 'vector) (control-peer there))))
      (is (loop for message in messages
                always (equalp message (receive-message there :timeout +generous+))))
      (is (= 0 (send-messages here '() (control-peer there)))))))

(test a-batch-that-stops
  (with-pair (here there)
    (let ((messages (append (loop repeat 300 collect (octets 1 2 3))
                            (list (pattern 65508) (octets 4)))))
      (handler-case (progn (send-messages here messages (control-peer there))
                           (fail "the message that is too large was sent"))
        (message-too-large-error (condition)
          (is (= 300 (error-transferred condition)))))
      (dotimes (i 300)
        (receive-message there :timeout +generous+))
      (is (null (receive-message there :timeout 0.05))))))

(test timeouts
  (with-loopback (transport)
    (is (null (receive-message transport :timeout 0)))
    (is (null (receive-message transport :timeout 0.01)))
    (is (null (receive-message transport :timeout 1/4)))
    (signals type-error (receive-message transport :timeout -1))
    (let ((waiting (in-thread (receive-message transport))))
      (sleep 0.25)
      (send-message transport (octets 5) (control-peer transport))
      (is (equalp (octets 5) (funcall waiting))))))

(test many-receivers
  "Each message goes to one of the waiting threads."
  (with-pair (here there)
    (let ((waiting (loop repeat 4
                         collect (in-thread
                                   (loop for message = (receive-message there :timeout +generous+)
                                         until (= 0 (length message))
                                         sum (aref message 0))))))
      (dotimes (i 200)
        (send-message here (octets i) (control-peer there)))
      (dotimes (i 4)
        (send-message here (octets) (control-peer there)))
      (is (= (/ (* 199 200) 2) (reduce #'+ (mapcar #'funcall waiting)))))))
