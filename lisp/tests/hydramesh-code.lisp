;;;; A small node, written as HydraMesh's users write theirs: it knows DCF.TRANSPORT.THUNDERBOLT and
;;;; nothing else of this project. The tests of the drop-in run it as it stands.

(defpackage #:mesh-node
  (:use #:common-lisp #:dcf.transport.thunderbolt)
  (:export #:node #:start-node #:stop-node #:node-transport #:node-inbox #:node-log #:node-uploads
           #:heartbeat #:upload #:latency #:report #:greet))

(in-package #:mesh-node)

(defclass node ()
  ((transport :accessor node-transport)
   (inbox :initform '() :accessor node-inbox)
   (uploads :initform '() :accessor node-uploads)
   (log :initform '() :accessor node-log)
   (lock :initform (bordeaux-threads:make-lock "node") :reader node-lock)))

(defun on-message (node type data)
  "Keeps control messages; receives uploads, which begin with their size in four bytes, and answers
with a checksum."
  (case type
    (:control-message
     (when (equalp data #(0 0 0))
       (error "Three zeros are not allowed"))
     (bordeaux-threads:with-lock-held ((node-lock node))
       (push data (node-inbox node))))
    (:data-stream
     (let* ((size (loop repeat 4 for size = (read-byte data) then (+ (* 256 size) (read-byte data))
                        finally (return size)))
            (payload (make-array size :element-type '(unsigned-byte 8)))
            (received (read-sequence payload data)))
       (bordeaux-threads:with-lock-held ((node-lock node))
         (push (list received data) (node-uploads node)))
       (write-byte (mod (reduce #'+ payload) 256) data)
       (force-output data)))))

(defun start-node (interface control-port data-port)
  (let ((node (make-instance 'node)))
    (setf (node-transport node)
          (make-thunderbolt-transport
           :interface interface
           :control-port control-port
           :data-port data-port
           :message-handler (lambda (type data) (on-message node type data))
           :logger (lambda (level message)
                     (bordeaux-threads:with-lock-held ((node-lock node))
                       (push (list level message) (node-log node))))))
    node))

(defun stop-node (node)
  (close-transport (node-transport node)))

(defun heartbeat (node peer sequence-number)
  "Sends a heartbeat; returns how many bytes that were, or why it could not be sent."
  (handler-case (send-message (node-transport node) (vector 1 sequence-number 255) peer)
    (transport-error (condition)
      (princ-to-string condition))))

(defun greet (node peer greeting)
  (send-message (node-transport node) greeting peer))

(defun upload (node peer payload)
  "Sends PAYLOAD over a data stream; returns the checksum that the other side made of it."
  (let ((stream (open-data-stream (node-transport node) peer))
        (size (length payload)))
    (unwind-protect
         (progn
           (loop for shift from 24 downto 0 by 8
                 do (write-byte (ldb (byte 8 shift) size) stream))
           (write-sequence payload stream)
           (force-output stream)
           (read-byte stream))
      (close stream))))

(defun latency (node peer)
  "Milliseconds to PEER and back, or :UNREACHABLE."
  (let ((rtt (measure-rtt (node-transport node) peer :timeout 5.0)))
    (if rtt
        (* rtt 1000)
        :unreachable)))

(defun report (node)
  (destructuring-bind (&key messages-sent messages-received bytes-sent bytes-received
                         connections-accepted connections-initiated errors uptime)
      (get-transport-stats (node-transport node))
    (list messages-sent messages-received bytes-sent bytes-received connections-accepted
          connections-initiated errors uptime)))
