;;;; The peer: it echoes messages and streams, answers pings itself, and executes the commands on its
;;;; input.

(in-package #:dcf-thunderbolt/plain-peer)

(defparameter *control-port* 5000)
(defparameter *data-port* 5001)
(defparameter *interface* "thunderbolt0")

(defparameter *ping* #(#x00 #x00 #x00 #x52 #x54 #x54 #x50 #x54))
(defparameter *pong* #(#x00 #x00 #x00 #x52 #x54 #x54 #x50 #x53))

(defvar *end* nil "True when the peer is to end.")

(defun magic-p (magic message)
  (and (= 16 (length message))
       (equalp magic (subseq message 0 8))))

(defun with-magic (magic timestamp)
  (concatenate '(vector (unsigned-byte 8)) magic timestamp))

;;; Serving

(defstruct mailbox
  (messages '())
  (lock (bordeaux-threads:make-lock "mailbox")))

(defun deposit (message sender mailbox)
  (bordeaux-threads:with-lock-held ((mailbox-lock mailbox))
    (push (cons message sender) (mailbox-messages mailbox))))

(defun handle-datagram (socket message sender mailbox)
  "An application's handler. It answers to the control port, whatever port the sender has, as the
Lisp transport does. What begins with an exclamation mark is for the mailbox, and so are pongs."
  (let ((to (with-port sender *control-port*)))
    (cond ((magic-p *ping* message)
           (send-datagram socket (with-magic *pong* (subseq message 8)) to))
          ((or (magic-p *pong* message)
               (and (plusp (length message)) (= (aref message 0) (char-code #\!))))
           (deposit message sender mailbox))
          (t
           (send-datagram socket message to)))))

(defun serve-datagrams (socket mailbox)
  (loop until *end*
        do (multiple-value-bind (message sender) (receive-datagram socket)
             (when message
               (handle-datagram socket message sender mailbox)))))

(defun send-back (socket)
  (loop until *end*
        for octets = (receive-octets socket)
        until (equalp octets #())
        when octets
          do (send-octets socket octets))
  (close-socket socket))

(defun serve-streams (listener)
  (loop until *end*
        do (let ((socket (accept-stream listener)))
             (when socket
               (send-back socket)))))

;;; Commands

(defun wait-for (predicate mailbox)
  "The message in MAILBOX that PREDICATE accepts, and its sender; an error when none comes."
  (loop repeat 3000
        do (let ((found (bordeaux-threads:with-lock-held ((mailbox-lock mailbox))
                          (find-if predicate (mailbox-messages mailbox) :key #'car))))
             (when found
               (return (values (car found) (cdr found)))))
           (sleep 0.01)
        finally (error "no answer came")))

(defun octets-of (text)
  (map '(vector (unsigned-byte 8)) #'char-code text))

(defun send-to (socket host mailbox)
  "Sends a message that is to be echoed, and compares the echo and where it came from."
  (let ((message (octets-of "!a message of the plain peer")))
    (send-datagram socket message (address host *control-port*))
    (let ((sender (nth-value 1 (wait-for (lambda (got) (equalp got message)) mailbox))))
      (assert (= *control-port* (port sender)) () "the echo came from port ~D" (port sender))
      (assert (equalp (host sender) (host (address host 0)))))))

(defun ping (socket host mailbox)
  "Sends pings from the control port; the pongs have to come back there with their timestamps."
  (dotimes (i 3)
    (let ((timestamp (vector 255 (random 256) 0 i 128 1 2 3)))
      (send-datagram socket (with-magic *ping* timestamp) (address host *control-port*))
      (wait-for (lambda (got) (equalp got (with-magic *pong* timestamp))) mailbox))))

(defun open-and-echo (host)
  "Writes to a stream what is to be echoed, ends that direction, and compares what comes back."
  (let* ((socket (open-stream (address host *data-port*) *interface*))
         (size 300000)
         (octets (make-array size :element-type '(unsigned-byte 8)))
         (back (make-array 0 :element-type '(unsigned-byte 8) :adjustable t :fill-pointer t)))
    (dotimes (i size)
      (setf (aref octets i) (mod (* 3 i) 255)))
    (send-octets socket octets)
    (finish socket)
    (loop for piece = (receive-octets socket)
          until (equalp piece #())
          do (loop for octet across (or piece #()) do (vector-push-extend octet back)))
    (close-socket socket)
    (assert (equalp octets back) () "~D octets came back of ~D" (length back) size)))

(defun obey (line socket mailbox)
  (let* ((blank (position #\Space line))
         (command (subseq line 0 blank))
         (host (and blank (subseq line (1+ blank)))))
    (cond ((string= command "send") (send-to socket host mailbox))
          ((string= command "ping") (ping socket host mailbox))
          ((string= command "stream") (open-and-echo host))
          (t (error "cannot ~A" line)))))

(defun ask (question)
  "Says QUESTION to the driver; returns its answer."
  (format t "~&? ~A~%" question)
  (finish-output)
  (read-line *standard-input* nil))

(defun run ()
  "Serves, and executes the driver's commands until \"end\"."
  (let* ((socket (open-udp *control-port* *interface*))
         (listener (open-listener *data-port* *interface*))
         (mailbox (make-mailbox))
         (threads (list (bordeaux-threads:make-thread (lambda () (serve-datagrams socket mailbox)))
                        (bordeaux-threads:make-thread (lambda () (serve-streams listener))))))
    (loop for line = (ask "ready") then (ask "done")
          until (member line '(nil "end") :test #'equal)
          do (obey line socket mailbox))
    (setf *end* t)
    (mapc #'bordeaux-threads:join-thread threads)
    (mapc #'close-socket (list socket listener))))
