;;;; Control messages: single datagrams, up to 65,507 octets.

(in-package #:dcf-thunderbolt)

(defun send-message (transport data peer &key (start 0) end)
  "Sends the octets of the vector DATA from START to END to PEER as one control message. There is
no guarantee that it arrives. Returns their number.

PEER is an address such as \"fe80::1%thunderbolt0\", \"::1%lo\", or, with another port than our
own, \"[fe80::1%thunderbolt0]:6000\"; DISCOVER and RECEIVE-MESSAGE give such strings."
  (multiple-value-bind (octets start end) (octets data start end)
    (let ((size (- end start))
          (handle (handle transport)))
      (with-peer (peer peer)
        (with-pointer (pointer octets start)
          (call (%send handle peer pointer size))))
      size)))

;;; Batches

(defconstant +batch+ 256 "Messages that go to the library at once.")

(defun pack (messages)
  "The octets of all MESSAGES, one after another."
  (let ((packed (make-octets (reduce #'+ messages :key #'length)))
        (at 0))
    (dolist (message messages packed)
      (replace packed message :start1 at)
      (incf at (length message)))))

(defun fill-datagrams (datagrams peer data messages)
  (loop for message in messages
        for datagram = datagrams
          then (cffi:inc-pointer datagram (cffi:foreign-type-size '(:struct datagram)))
        do (setf (cffi:foreign-slot-value datagram '(:struct datagram) :peer) peer
                 (cffi:foreign-slot-value datagram '(:struct datagram) :data) data
                 (cffi:foreign-slot-value datagram '(:struct datagram) :len) (length message)
                 data (cffi:inc-pointer data (length message)))))

(defun send-batch (handle messages peer sent-before)
  "Sends MESSAGES, a list that the library takes with one call."
  (let ((count (length messages))
        (packed (pack messages))
        (done 0))
    (cffi:with-foreign-objects ((datagrams '(:struct datagram) count) (sent :size))
      (with-peer (peer peer)
        (with-pointer (data packed 0)
          (fill-datagrams datagrams peer data messages)
          (calling ((%send-batch handle
                                 (cffi:mem-aptr datagrams '(:struct datagram) done)
                                 (- count done)
                                 sent)
                    :transferred (+ sent-before (incf done (cffi:mem-ref sent :size))))
            (+ok+ t)))))))

(defun send-messages (transport messages peer)
  "Sends each vector of octets in the sequence MESSAGES to PEER as a control message, in order and
in as few system calls as possible. Returns their number. Stops at the first that fails; then
ERROR-TRANSFERRED says how many were sent, and the restart TRY-AGAIN goes on with that one."
  (loop with handle = (handle transport)
        with count = (length messages)
        for start from 0 below count by +batch+
        do (send-batch handle
                       (coerce (subseq messages start (min count (+ start +batch+))) 'list)
                       peer
                       start)
        finally (return count)))

;;; Receiving

(defstruct (receiver (:constructor make-receiver ()))
  "The buffers for messages and their senders."
  (octets (make-octets +max-message-size+) :type octets)
  (sender (make-octets +peer-size+) :type octets)
  ;; The octets of SENDER when NAME was made: most messages come from the same peer.
  (named (make-octets +peer-size+) :type octets)
  (name "" :type string))

(defun same-text-p (one other)
  "Whether two texts that end in NUL are the same."
  (declare (type octets one other))
  (loop for octet across one
        for octet-there across other
        always (= octet octet-there)
        until (zerop octet)))

(defun sender-name (receiver)
  "The sender of the last message, as a string that must not be modified."
  (let ((sender (receiver-sender receiver))
        (named (receiver-named receiver)))
    (unless (same-text-p sender named)
      (replace named sender)
      (setf (receiver-name receiver)
            (map 'string #'code-char (subseq sender 0 (position 0 sender)))))
    (receiver-name receiver)))

(defun receive (handle receiver slice)
  "Waits at most SLICE ms for a message. Returns it as fresh octets, or NIL; and its sender."
  (let ((octets (receiver-octets receiver)))
    (cffi:with-foreign-object (length :size)
      (let ((size (with-pointer (pointer octets 0)
                    (with-pointer (sender (receiver-sender receiver) 0)
                      (calling ((%recv handle pointer +max-message-size+ length
                                       sender +peer-size+ slice))
                        (+ok+ (cffi:mem-ref length :size))
                        ((+err-timeout+ +would-block+) nil))))))
        (and size
             (values (subseq octets 0 size) (sender-name receiver)))))))

(defun call-with-receiver (transport function)
  "Calls FUNCTION with a receiver of TRANSPORT that no other thread uses meanwhile."
  (let ((receiver (bordeaux-threads:with-lock-held ((lock transport))
                    (pop (receivers transport)))))
    (unless receiver
      (setf receiver (make-receiver)))
    (unwind-protect (funcall function receiver)
      (bordeaux-threads:with-lock-held ((lock transport))
        (push receiver (receivers transport))))))

(defun receive-message (transport &key timeout)
  "Takes the oldest control message that no message handler took; waits for one, at most TIMEOUT
seconds. Returns its octets, a fresh vector, and its sender, a peer to answer to; or NIL when none
came in time. Of a transport with a message handler there is nothing to be received here."
  (flet ((wait (receiver)
           (let ((handle (handle transport))
                 sender)
             (values (in-slices (slice timeout)
                       (multiple-value-bind (octets from) (receive handle receiver slice)
                         (setf sender from)
                         octets))
                     sender))))
    (declare (dynamic-extent #'wait))
    (call-with-receiver transport #'wait)))

(defun receive-batch (handle receiver most slice)
  "Waits at most SLICE ms for messages. Returns up to MOST of them as conses of fresh octets and the
sender, oldest first; or NIL."
  (let ((octets (receiver-octets receiver)))
    (cffi:with-foreign-objects ((messages '(:struct received) most) (count :size))
      (with-pointer (pointer octets 0)
        (calling ((%recv-batch handle pointer +max-message-size+ messages most count slice))
          (+ok+ (loop with at = 0
                      for index below (cffi:mem-ref count :size)
                      for message = (cffi:mem-aptr messages '(:struct received) index)
                      for size = (cffi:foreign-slot-value message '(:struct received) :len)
                      collect (cons (subseq octets at (+ at size))
                                    (cffi:foreign-string-to-lisp
                                     (cffi:foreign-slot-pointer message '(:struct received) :sender)
                                     :max-chars +peer-size+ :encoding :utf-8))
                      do (incf at size)))
          ((+err-timeout+ +would-block+) nil))))))

(defun receive-messages (transport &key timeout (most +batch+))
  "Takes up to MOST control messages that no message handler took, oldest first; waits for the first
one, at most TIMEOUT seconds. Returns a list of conses of the octets, a fresh vector, and the sender;
NIL when none came in time."
  (check-type most (integer 1 65536))
  (flet ((wait (receiver)
           (let ((handle (handle transport)))
             (in-slices (slice timeout)
               (receive-batch handle receiver most slice)))))
    (declare (dynamic-extent #'wait))
    (call-with-receiver transport #'wait)))
