;;;; IPv6 sockets of the C library, and no more of them than a peer needs.

(defpackage #:dcf-thunderbolt/plain-peer
  (:use #:common-lisp)
  (:documentation "A peer that implements docs/WIRE.md without the library.")
  (:export #:open-udp #:open-listener #:open-stream #:accept-stream #:close-socket #:finish
           #:local-port #:send-datagram #:receive-datagram #:send-octets #:receive-octets
           #:address #:host #:port #:with-port #:run))

(in-package #:dcf-thunderbolt/plain-peer)

(cffi:defcstruct sockaddr-in6
  (family :uint16)
  (port :uint16)                        ; big-endian, as the address
  (flowinfo :uint32)
  (host :uint8 :count 16)
  (scope :uint32))

(defconstant +af-inet6+ 10)
(defconstant +stream+ 1)
(defconstant +datagram+ 2)
(defconstant +sol-socket+ 1)
(defconstant +so-reuseaddr+ 2)
(defconstant +so-rcvtimeo+ 20)
(defconstant +so-bindtodevice+ 25)
(defconstant +eintr+ 4)
(defconstant +eagain+ 11)

(defstruct address
  (host (make-array 16 :element-type '(unsigned-byte 8) :initial-element 0))
  (port 0)
  (scope 0))

(defun host (address) (address-host address))
(defun port (address) (address-port address))

(defun with-port (address port)
  "ADDRESS with another port."
  (make-address :host (address-host address) :port port :scope (address-scope address)))

(defun errno ()
  (cffi:mem-ref (cffi:foreign-funcall "__errno_location" :pointer) :int))

(defmacro system-call (name &rest arguments)
  "Calls a function of the C library that returns -1 when it fails. A signal is no reason to."
  `(loop
     (let ((result (cffi:foreign-funcall ,name ,@arguments)))
       (unless (minusp result)
         (return result))
       (let ((errno (errno)))
         (cond ((= errno +eagain+) (return nil))
               ((/= errno +eintr+)
                (error "~A: ~A" ,name
                       (cffi:foreign-funcall "strerror" :int errno :string))))))))

(defun swap (number)
  "The two octets of NUMBER the other way round."
  (logior (ash (logand number #xFF) 8) (ash number -8)))

(defun put-address (address pointer)
  (cffi:with-foreign-slots ((family port flowinfo scope) pointer (:struct sockaddr-in6))
    (setf family +af-inet6+
          port (swap (address-port address))
          flowinfo 0
          scope (address-scope address)))
  (let ((host (cffi:foreign-slot-pointer pointer '(:struct sockaddr-in6) 'host)))
    (dotimes (i 16)
      (setf (cffi:mem-aref host :uint8 i) (aref (address-host address) i)))))

(defun get-address (pointer)
  (let ((address (make-address)))
    (cffi:with-foreign-slots ((port scope) pointer (:struct sockaddr-in6))
      (setf (address-port address) (swap port)
            (address-scope address) scope))
    (let ((host (cffi:foreign-slot-pointer pointer '(:struct sockaddr-in6) 'host)))
      (dotimes (i 16 address)
        (setf (aref (address-host address) i) (cffi:mem-aref host :uint8 i))))))

(defmacro with-address ((pointer size &optional address) &body body)
  "Runs BODY with POINTER to a sockaddr_in6, of ADDRESS if there is one, and SIZE to its size."
  `(cffi:with-foreign-objects ((,pointer '(:struct sockaddr-in6)) (,size :uint32))
     (setf (cffi:mem-ref ,size :uint32) (cffi:foreign-type-size '(:struct sockaddr-in6)))
     ,@(when address `((put-address ,address ,pointer)))
     ,@body))

(defun address (text port)
  "The address of TEXT, such as fe80::1%thunderbolt0, and PORT."
  (let* ((percent (position #\% text))
         (address (make-address
                   :port port
                   :scope (if percent
                              (cffi:foreign-funcall "if_nametoindex"
                                                    :string (subseq text (1+ percent))
                                                    :uint32)
                              0))))
    (cffi:with-foreign-object (host :uint8 16)
      (unless (= 1 (cffi:foreign-funcall "inet_pton" :int +af-inet6+
                                                     :string (subseq text 0 percent)
                                                     :pointer host :int))
        (error "~S is not an IPv6 address" text))
      (dotimes (i 16 address)
        (setf (aref (address-host address) i) (cffi:mem-aref host :uint8 i))))))

;;; Opening

(defun set-option (socket option type value)
  (cffi:with-foreign-object (pointer :int64 2)
    (setf (cffi:mem-ref pointer :int64) 0
          (cffi:mem-aref pointer :int64 1) 0)
    (ecase type
      (:int (setf (cffi:mem-ref pointer :int) value))
      (:milliseconds (setf (cffi:mem-aref pointer :int64 1) (* 1000 value))))
    (system-call "setsockopt" :int socket :int +sol-socket+ :int option :pointer pointer
                              :uint32 (if (eq type :int) 4 16) :int)))

(defun open-socket (kind interface)
  "A socket whose reads wait at most 100 ms."
  (let ((socket (system-call "socket" :int +af-inet6+ :int kind :int 0 :int)))
    (set-option socket +so-rcvtimeo+ :milliseconds 100)
    (when interface
      (cffi:with-foreign-string ((name size) interface)
        (system-call "setsockopt" :int socket :int +sol-socket+ :int +so-bindtodevice+
                                  :pointer name :uint32 size :int)))
    socket))

(defun bind-socket (socket port)
  (with-address (pointer size (make-address :port port))
    (system-call "bind" :int socket :pointer pointer :uint32 (cffi:mem-ref size :uint32) :int))
  socket)

(defun open-udp (port &optional interface)
  (bind-socket (open-socket +datagram+ interface) port))

(defun open-listener (port &optional interface)
  (let ((socket (open-socket +stream+ interface)))
    (set-option socket +so-reuseaddr+ :int 1)
    (bind-socket socket port)
    (system-call "listen" :int socket :int 16 :int)
    socket))

(defun open-stream (address &optional interface)
  (let ((socket (open-socket +stream+ interface)))
    (with-address (pointer size address)
      (system-call "connect" :int socket :pointer pointer :uint32 (cffi:mem-ref size :uint32)
                             :int))
    socket))

(defun accept-stream (listener)
  "A stream that a peer opened, or NIL if none was opened in time."
  (let ((socket (system-call "accept" :int listener :pointer (cffi:null-pointer)
                                      :pointer (cffi:null-pointer) :int)))
    (when socket
      (set-option socket +so-rcvtimeo+ :milliseconds 100))
    socket))

(defun close-socket (socket)
  (system-call "close" :int socket :int))

(defun finish (socket)
  "Ends the sending direction of a stream."
  (system-call "shutdown" :int socket :int 1 :int))

(defun local-port (socket)
  (with-address (pointer size)
    (system-call "getsockname" :int socket :pointer pointer :pointer size :int)
    (address-port (get-address pointer))))

;;; Sending and receiving

(defconstant +most+ 65536)

(defun send-datagram (socket octets address)
  (with-address (pointer size address)
    (cffi:with-foreign-object (data :uint8 (max 1 (length octets)))
      (dotimes (i (length octets))
        (setf (cffi:mem-aref data :uint8 i) (aref octets i)))
      (system-call "sendto" :int socket :pointer data :size (length octets) :int 0
                            :pointer pointer :uint32 (cffi:mem-ref size :uint32) :ssize))))

(defun octets-at (pointer size)
  (let ((octets (make-array size :element-type '(unsigned-byte 8))))
    (dotimes (i size octets)
      (setf (aref octets i) (cffi:mem-aref pointer :uint8 i)))))

(defun receive-datagram (socket)
  "A datagram and its source, or NIL if none came in time."
  (with-address (pointer size)
    (cffi:with-foreign-object (data :uint8 +most+)
      (let ((got (system-call "recvfrom" :int socket :pointer data :size +most+ :int 0
                                         :pointer pointer :pointer size :ssize)))
        (and got
             (values (octets-at data got) (get-address pointer)))))))

(defun send-octets (socket octets)
  "Writes all of OCTETS to a stream."
  (cffi:with-foreign-object (data :uint8 (max 1 (length octets)))
    (dotimes (i (length octets))
      (setf (cffi:mem-aref data :uint8 i) (aref octets i)))
    (loop with sent = 0
          while (< sent (length octets))
          do (incf sent (or (system-call "send" :int socket
                                                :pointer (cffi:inc-pointer data sent)
                                                :size (- (length octets) sent)
                                                :int #x4000 :ssize)
                            0)))))

(defun receive-octets (socket)
  "What comes out of a stream next; no octets at its end; NIL when nothing came in time."
  (cffi:with-foreign-object (data :uint8 +most+)
    (let ((got (system-call "recv" :int socket :pointer data :size +most+ :int 0 :ssize)))
      (and got (octets-at data got)))))
