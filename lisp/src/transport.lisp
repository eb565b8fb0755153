;;;; Transports: their class, and closing.

(in-package #:dcf-thunderbolt)

;;; A handle of the library, separate from the program's object: finalizers and threads
;;; reference it without referencing that. 0 is never valid, and the library refuses it.

(defstruct (hold (:constructor make-hold (value &optional owner events)))
  (value 0 :type (unsigned-byte 64))
  (owner nil :type (or null hold))      ; of a stream: its transport's
  (events nil :type (or null events))   ; of a transport: its log records and link changes
  ;; Of a transport with handlers: the threads that call them.
  (threads '() :type list)
  (lock (bordeaux-threads:make-lock "dcf-thunderbolt threads")))

(declaim (inline live))
(defun live (hold)
  "The handle; 0 if it was closed, or its transport was."
  (let ((owner (hold-owner hold)))
    (if (and owner (zerop (hold-value owner)))
        0
        (hold-value hold))))

(defclass transport ()
  ((hold :initarg :hold :reader hold)
   (name :initarg :name :reader name)
   (receivers :initform '() :accessor receivers)
   (lock :initform (bordeaux-threads:make-lock "dcf-thunderbolt transport") :reader lock))
  (:documentation "One end of a cable. OPEN-TRANSPORT makes it, CLOSE-TRANSPORT ends it."))

(defmethod print-object ((transport transport) stream)
  (print-unreadable-object (transport stream :type t :identity t)
    (format stream "~A~:[ closed~;~]" (name transport) (transport-open-p transport))))

(declaim (inline handle))
(defun handle (transport)
  (live (the hold (hold transport))))

(defun transport-open-p (transport)
  "Whether TRANSPORT is open: from OPEN-TRANSPORT to CLOSE-TRANSPORT, in any state of the link."
  (/= 0 (handle transport)))

(defun transport-interface (transport)
  "The name of the interface that TRANSPORT is bound to."
  (text-from-library
   (lambda (text size length) (call (%interface (handle transport) text size length)))))

(defun ports (handle)
  (cffi:with-foreign-objects ((control :uint16) (data :uint16))
    (call (%ports handle control data))
    (values (cffi:mem-ref control :uint16) (cffi:mem-ref data :uint16))))

(defun transport-ports (transport)
  "The UDP port of control messages and the TCP port of data streams, as two values."
  (ports (handle transport)))

(defun transport-event-descriptor (transport)
  "A descriptor for poll(2): readable while RECEIVE-MESSAGE or ACCEPT-DATA-STREAM would not block.
It is the library's: never read or close it."
  (cffi:with-foreign-object (descriptor :int32)
    (call (%event-fd (handle transport) descriptor))
    (cffi:mem-ref descriptor :int32)))

;;; Closing

(defvar *holds* '()
  "The handles of all open transports, for the end of an image.")
(defvar *holds-lock* (bordeaux-threads:make-lock "dcf-thunderbolt transports"))

(defun release (hold)
  "Closes the transport of HOLD. Returns whether it was open. Takes no lock: finalizers call it."
  (without-interrupts
    (let ((handle (shiftf (hold-value hold) 0)))
      (and (/= handle 0)
           (unwind-protect (= +ok+ (%close handle))
             (close-input (hold-events hold)))))))

(defun finalizer (hold)
  "A function that closes the transport of HOLD, and holds nothing else."
  (lambda () (release hold)))

(defun register (hold)
  (bordeaux-threads:with-lock-held (*holds-lock*)
    (setf *holds* (cons hold (remove-if (lambda (hold) (zerop (hold-value hold))) *holds*)))))

(defvar *in-handler* nil
  "True on threads that call handlers, which must not wait for handlers: they could wait for themselves.")

(defun close-transport (transport)
  "Closes TRANSPORT and its streams; frees its ports; wakes all calls that wait on it, with a
CLOSED-ERROR, which ends handlers that wait without a report; waits for its handlers, unless it is
called from inside one. A second close does nothing. Returns whether it was open."
  (let ((was-open (release (hold transport))))
    ;; Only now: if this is interrupted before, the garbage collector still closes the transport.
    (trivial-garbage:cancel-finalization transport)
    (when was-open
      (unless *in-handler*
        (join-threads (hold transport)))
      t)))
