;;;; Opening transports.

(in-package #:dcf-thunderbolt)

(eval-when (:compile-toplevel :load-toplevel :execute)
  (defun settings ()
    "Slots of struct dcf_tb_config that a program can set. The others are pointers, or of no use
without a log callback."
    (loop for slot in (slots 'config)
          unless (or (eq (slot-type 'config slot) :pointer)
                     (member slot '(:struct-size :log-level)))
            collect slot)))

(defun fill-config (config settings)
  "Sets those of the property list SETTINGS that are slots; NIL leaves a number at its default."
  (loop for (slot value) on settings by #'cddr
        when (member slot (settings))
          do (let ((boolean (eq (slot-type 'config slot) :uint8)))
               (when (or boolean value)
                 (setf (cffi:foreign-slot-value config '(:struct config) slot)
                       (cond ((not boolean) value)
                             (value 1)
                             (t 0)))))))

(defun wrap-transport (handle interface)
  "A Lisp object for a fresh HANDLE. Should it get lost, the garbage collector closes it."
  (let* ((hold (make-hold handle))
         (name (multiple-value-call #'format nil "~A ~D/~D" interface (ports handle)))
         (transport (make-instance 'transport :hold hold :name name)))
    (register hold)
    (trivial-garbage:finalize transport (finalizer hold))))

(defun start-transport (interface settings)
  "A transport without handlers."
  (load-library)
  (cffi:with-foreign-objects ((config '(:struct config)) (handle :uint64))
    (call (%config-init config (cffi:foreign-type-size '(:struct config))))
    (fill-config config settings)
    (with-c-string (name interface)
      (setf (cffi:foreign-slot-value config '(:struct config) :interface-name) name)
      (calling ((%init config handle))
        (+ok+ (wrap-transport (cffi:mem-ref handle :uint64) interface))))))

(macrolet
    ((define (documentation)
       (let ((settings (loop for slot in (settings) collect (intern (symbol-name slot)))))
         `(defun open-transport (&rest settings
                                 &key (interface "thunderbolt0") message-handler stream-handler
                                   (error-handler #'report-error) stream-timeout
                                   ,@settings)
            ,documentation
            (declare (ignore ,@settings))
            (let ((transport (start-transport interface settings))
                  (started nil))
              (unwind-protect
                   (progn
                     (start-handlers (hold transport) message-handler stream-handler
                                     error-handler stream-timeout)
                     (setf started t))
                (unless started
                  (close-transport transport)))
              transport)))))
  (define
    "Opens a transport on INTERFACE, \"thunderbolt0\" by default; \"auto\" is the only one whose
driver is thunderbolt-net.

MESSAGE-HANDLER is called with the octets of each control message, a fresh vector, and its sender.
Calls never overlap. Without it messages wait for RECEIVE-MESSAGE.

STREAM-HANDLER is called with each data stream that a peer opens, and the peer's address, on a
thread of its own; the stream is closed when it returns. STREAM-TIMEOUT becomes the stream's
DATA-STREAM-TIMEOUT. Without it streams wait for ACCEPT-DATA-STREAM.

ERROR-HANDLER is called with each error in one of the two, before that is left; the default prints
a line. GIVE-UP is a restart there.

The other arguments are the members of struct dcf_tb_config, under their names and in their units;
docs/REFERENCE.md has a table. Booleans are true or NIL. Ports of 0 are any free ones: TRANSPORT-PORTS."))

(defmacro with-transport ((variable &rest options) &body body)
  "Runs BODY with VARIABLE bound to a transport that OPEN-TRANSPORT opens with OPTIONS, and closes
it, however BODY ends."
  `(let ((,variable nil))
     (unwind-protect
          (progn
            (setf ,variable (open-transport ,@options))
            (let ((,variable ,variable))
              ,@body))
       (when ,variable
         (close-transport ,variable)))))
