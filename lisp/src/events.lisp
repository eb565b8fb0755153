;;;; Log records, link changes and peers. The library must not call Lisp, so its ready-made callbacks send them to a
;;;; socket, and a Lisp thread reads them.

(in-package #:dcf-thunderbolt)

(defstruct (events (:constructor make-events (input output)))
  "The two ends of a datagram socket; -1 when closed."
  (input -1 :type (signed-byte 32))     ; for the library
  (output -1 :type (signed-byte 32)))   ; for the thread

;;; From the headers of Linux.
(defconstant +af-unix+ 1)
(defconstant +sock-seqpacket-cloexec+ (logior 5 #o2000000))
(defconstant +msg-dontwait+ #x40)
(defconstant +pollin+ 1)

(defconstant +event-size+ 8192
  "The maximum octets of an event; longer ones are cut.")

(defun open-events ()
  "Creates events. Must not be interrupted before the result is stored."
  (cffi:with-foreign-object (pair :int 2)
    (if (zerop (cffi:foreign-funcall "socketpair" :int +af-unix+ :int +sock-seqpacket-cloexec+
                                                  :int 0 :pointer pair :int))
        (make-events (cffi:mem-aref pair :int 0) (cffi:mem-aref pair :int 1))
        (error (make-error +err-too-many-files+
                           "cannot make a socket for log records, link changes and peers")))))

(defun close-descriptor (descriptor)
  (unless (minusp descriptor)
    (cffi:foreign-funcall "close" :int descriptor :int)))

(defun close-input (events)
  "Closes the library's end, after its last event. Takes no lock, because finalizers call it."
  (when events
    (close-descriptor (shiftf (events-input events) -1))))

(defun close-output (events)
  (when events
    (close-descriptor (shiftf (events-output events) -1))))

;;; Levels

(defparameter *log-levels*
  `((:debug . ,+log-debug+) (:info . ,+log-info+) (:warn . ,+log-warn+) (:error . ,+log-error+))
  "The levels of log records, from the lowest up, and their numbers.")

(defun level-number (level)
  "The number of the LEVEL with this name. A number is passed on, and the library checks it."
  (etypecase level
    (integer level)
    (symbol (or (cdr (assoc level *log-levels*))
                (error (make-error +err-config-invalid+
                                   (format nil "the log level is ~S: it is one of ~{~S~^, ~}"
                                           level (mapcar #'car *log-levels*))))))))

(defun level-name (number)
  (or (car (rassoc number *log-levels*)) number))

;;; Taking events

(defun take-event (events buffer timeout)
  "The next event as a text, which is waited for up to TIMEOUT milliseconds; NIL when there is none."
  (without-interrupts
    (cffi:with-foreign-object (poll :int32 2)
      (setf (cffi:mem-aref poll :int32 0) (events-output events)
            ;; A struct pollfd: the events requested and returned, 16 bits each.
            (cffi:mem-aref poll :int16 2) +pollin+
            (cffi:mem-aref poll :int16 3) 0)
      (cffi:foreign-funcall "poll" :pointer poll :ulong 1 :int timeout :int)
      (let ((size (cffi:foreign-funcall "recv" :int (events-output events) :pointer buffer
                                               :size +event-size+ :int +msg-dontwait+ :long)))
        (when (plusp size)
          (handler-case (cffi:foreign-string-to-lisp buffer :count size :encoding :utf-8)
            ;; The event was longer than the buffer, and was cut inside a character.
            (error ()
              (cffi:foreign-string-to-lisp buffer :count size :encoding :latin-1))))))))

(defun handle-event (hold event handlers)
  "Calls the one of HANDLERS, a property list, that is for EVENT, a text such as \"log 2 started\",
\"link 1 thunderbolt0\" or \"peer 1 fe80::1%thunderbolt0\"."
  (let* ((space (position #\Space event))
         (kind (cdr (assoc (subseq event 0 space) '(("log" . :log) ("link" . :link) ("peer" . :peer))
                           :test #'string=)))
         (handler (getf handlers kind))
         (value (digit-char-p (char event (1+ space))))
         (text (subseq event (+ 3 space))))
    (cond ((null handler))
          ((eq kind :log)
           (funcall handler (level-name value) text))
          ;; After the close, link and peer handlers are not called any more.
          ((/= 0 (live hold))
           (funcall handler (= 1 value) text)))))

(defun event-loop (hold handlers report)
  "Handles events until the library has closed its end, and none are left."
  (let ((events (hold-events hold)))
    (unwind-protect
         (cffi:with-foreign-object (buffer :uint8 +event-size+)
           (loop
             ;; Read this first, so that earlier events are still handled.
             (let* ((last (minusp (events-input events)))
                    (event (take-event events buffer (if last 0 +slice+))))
               (cond (event
                      (guarded hold report
                               (lambda ()
                                 (handle-event hold event handlers))))
                     (last (return))))))
      (close-output events))))
