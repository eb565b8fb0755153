;;;; Conditions: one root, and a class for each failure that programs handle differently.

(in-package #:dcf-thunderbolt)

(define-condition dcf-thunderbolt-error (error)
  ((code :initarg :code :initform nil :reader error-code)
   (errno :initarg :errno :initform nil :reader error-errno)
   (message :initarg :message :initform "" :reader error-message)
   (transferred :initarg :transferred :initform nil :reader error-transferred))
  (:report (lambda (condition stream)
             (write-string (error-message condition) stream)))
  (:documentation "The root of all failures of this system."))

(setf (documentation 'error-code 'function)
      "The failure's number, one of the +ERR-...+ constants of DCF-THUNDERBOLT/FFI; NIL when the
library had no part in it."
      (documentation 'error-errno 'function)
      "The operating system's error number, or NIL."
      (documentation 'error-message 'function)
      "The text of the failure, with the offending value."
      (documentation 'error-transferred 'function)
      "How many bytes, or messages, were transferred before the call failed; NIL where it is all or
nothing.")

(defvar *error-classes* (make-hash-table)
  "Maps a code to the class of its failure, and to the class for the same failure on a stream.")

(eval-when (:compile-toplevel :load-toplevel :execute)
  (defun on-stream (name)
    "The class of the failure NAME when it happened on a stream: a STREAM-ERROR as well."
    (intern (format nil "~A/STREAM" name) '#:dcf-thunderbolt)))

(defmacro define-error (name (&optional (parent 'dcf-thunderbolt-error)) codes documentation)
  "Defines the condition for the failures with CODES."
  (let ((on-stream (on-stream name)))
    `(progn
       (define-condition ,name (,parent) () (:documentation ,documentation))
       (define-condition ,on-stream (,name stream-error) ())
       ,@(loop for code in codes
               collect `(setf (gethash ,code *error-classes*) '(,name . ,on-stream))))))

(define-condition dcf-thunderbolt-error/stream (dcf-thunderbolt-error stream-error) ())

(define-error library-error () ()
  "The shared library was not found, or is not one that this binding was written for.")

(define-error timeout-error () (+err-timeout+)
  "The timeout expired.")
(define-error would-block-error (timeout-error) (+would-block+)
  "The call would have had to wait, and the timeout was 0.")
(define-error closed-error ()
    (+cancelled+ +err-invalid-handle+ +err-not-initialized+ +err-shutdown+)
  "The transport or stream is closed, or was closed during the call.")
(define-error forked-error () (+err-forked+)
  "This process is a fork of one that had a transport open.")
(define-error end-of-data-error () (+eof+)
  "The stream or the file ended before everything was transferred.")

(define-error invalid-address-error () (+err-invalid-address+)
  "The peer string is not an IPv6 address on the transport's interface.")
(define-error interface-not-found-error () (+err-interface-not-found+)
  "No such network interface on this host.")
(define-error address-in-use-error () (+err-address-in-use+)
  "Another program has one of the ports.")
(define-error permission-denied-error () (+err-permission-denied+)
  "The operating system does not permit it for this user.")
(define-error invalid-configuration-error () (+err-config-invalid+)
  "A setting is out of its range.")
(define-error message-too-large-error () (+err-message-too-large+)
  "More than 65,507 octets in one control message.")

(define-error link-down-error () (+err-link-down+)
  "The interface is down, gone, without carrier or without an address at the moment.")

(define-error connection-error () (+err-connection-failed+)
  "A connection failed.")
(define-error connection-refused-error (connection-error) (+err-connection-refused+)
  "The peer is up, but nothing listens on that port.")
(define-error connection-reset-error (connection-error) (+err-connection-reset+)
  "The peer reset the connection.")
(define-error connection-aborted-error (connection-error) (+err-connection-aborted+)
  "The peer stopped answering, or this side ended the connection.")
(define-error host-unreachable-error (connection-error) (+err-host-unreachable+)
  "No host answers at that address.")
(define-error broken-pipe-error (connection-error) (+err-broken-pipe+)
  "The stream was finished on this side, or the peer is gone.")

(define-error resource-error () (+err-out-of-memory+ +err-too-many-files+ +err-thread+)
  "No memory, descriptors or threads are left.")
(define-error queue-full-error (resource-error) (+err-queue-full+)
  "The kernel's send queue stayed full.")
(define-error too-many-connections-error (resource-error) (+err-too-many-connections+)
  "The transport has its maximum number of open streams.")

(define-error system-error () (+err-io+ +err-socket-option+)
  "Any other failure of the operating system; see ERROR-ERRNO.")

(defun error-class (code stream)
  "The condition class for CODE, on STREAM if that is not NIL."
  (destructuring-bind (plain . on-stream)
      (gethash code *error-classes* '(dcf-thunderbolt-error . dcf-thunderbolt-error/stream))
    (if stream on-stream plain)))

(defun make-error (code message &rest arguments &key stream &allow-other-keys)
  "A failure, not signalled yet."
  (remf arguments :stream)
  (apply #'make-condition (error-class code stream) :code code :message message
         (if stream (list* :stream stream arguments) arguments)))

(defun signal-error (failure)
  "Signals FAILURE. Returns when the restart TRY-AGAIN is chosen."
  (restart-case (error failure)
    (try-again ()
      :report "Make the same call again.")))

(defun try-again (&optional condition)
  "Makes the call that failed again, from inside a handler: the link may be up by now, or the port
free. Does nothing when there is no such call."
  (let ((restart (find-restart 'try-again condition)))
    (when restart
      (invoke-restart restart))))
