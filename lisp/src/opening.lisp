;;;; Opening transports.

(in-package #:dcf-thunderbolt)

(eval-when (:compile-toplevel :load-toplevel :execute)
  (defun settings ()
    "The slots of struct dcf_tb_config that programs can set. The others are pointers."
    (loop for slot in (slots 'config)
          unless (or (eq (slot-type 'config slot) :pointer) (eq slot :struct-size))
            collect slot)))

(defun boolean-setting-p (setting)
  "Whether SETTING is a boolean, which is a number in C."
  (or (eq (slot-type 'config setting) :uint8) (eq setting :remember-peers)))

(defun fill-config (config settings)
  "Sets those of the property list SETTINGS that are slots; NIL leaves a number at its default."
  (loop for (slot value) on settings by #'cddr
        when (member slot (settings))
          do (let ((boolean (boolean-setting-p slot)))
               (when (or boolean value)
                 (setf (cffi:foreign-slot-value config '(:struct config) slot)
                       (cond ((eq slot :log-level) (level-number value))
                             ((not boolean) value)
                             (value 1)
                             (t 0)))))))

(defun fill-callbacks (config events handlers)
  "Has the library send to EVENTS the events that have HANDLERS."
  (flet ((use (slot name)
           (setf (cffi:foreign-slot-value config '(:struct config) slot)
                 (cffi:foreign-symbol-pointer name))))
    (when (getf handlers :log)
      (use :on-log "dcf_tb_log_to_socket"))
    (when (getf handlers :link)
      (use :on-link "dcf_tb_link_to_socket"))
    (when (getf handlers :peer)
      (use :on-peer "dcf_tb_peer_to_socket"))
    (when events
      (setf (cffi:foreign-slot-value config '(:struct config) :user-data)
            (cffi:make-pointer (events-input events))))))

(defun wrap-transport (handle interface events)
  "A Lisp object for a new HANDLE. If the program loses it, the garbage collector closes it."
  (let* ((hold (make-hold handle nil events))
         (name (multiple-value-call #'format nil "~A ~D/~D" interface (ports handle)))
         (transport (make-instance 'transport :hold hold :name name)))
    (register hold)
    (trivial-garbage:finalize transport (finalizer hold))))

(defun start-transport (interface settings events handlers)
  "A transport without threads."
  (load-library)
  (cffi:with-foreign-objects ((config '(:struct config)) (handle :uint64))
    (call (%config-init config (cffi:foreign-type-size '(:struct config))))
    (fill-config config settings)
    (fill-callbacks config events handlers)
    (with-c-string (name interface)
      (setf (cffi:foreign-slot-value config '(:struct config) :interface-name) name)
      (calling ((%init config handle))
        (+ok+ (wrap-transport (cffi:mem-ref handle :uint64) interface events))))))

(macrolet
    ((define (documentation)
       (let ((settings (loop for slot in (settings) collect (intern (symbol-name slot)))))
         `(defun open-transport (&rest settings
                                 &key (interface "thunderbolt0") message-handler stream-handler
                                   log-handler link-handler peer-handler
                                   (error-handler #'report-error) stream-timeout
                                   ,@settings)
            ,documentation
            (declare (ignore ,@settings))
            (let ((events nil) (transport nil) (started nil)
                  (handlers (list :log log-handler :link link-handler :peer peer-handler)))
              (unwind-protect
                   (progn
                     (when (or log-handler link-handler peer-handler)
                       (without-interrupts (setf events (open-events))))
                     (setf transport (start-transport interface settings events handlers))
                     (start-handlers (hold transport) message-handler stream-handler
                                     handlers error-handler stream-timeout)
                     (setf started t))
                (unless started
                  (cond (transport
                         (close-transport transport))
                        (t
                         (close-input events)
                         (close-output events)))))
              transport)))))
  (define
    "Opens a transport on INTERFACE, \"thunderbolt0\" by default; \"auto\" is the only one whose
driver is thunderbolt-net.

MESSAGE-HANDLER is called with the octets of each control message, a fresh vector, and its sender.
Calls never overlap. Without it messages wait for RECEIVE-MESSAGE.

STREAM-HANDLER is called with each data stream that a peer opens, and the peer's address, on a
thread of its own; the stream is closed when it returns. STREAM-TIMEOUT becomes the stream's
DATA-STREAM-TIMEOUT. Without it streams wait for ACCEPT-DATA-STREAM.

LOG-HANDLER is called with the level and the text of each log record from LOG-LEVEL up: :DEBUG, :INFO
(the default), :WARN or :ERROR. LINK-HANDLER is called with T when the interface can carry traffic
again and with NIL when it cannot, and the interface's name. PEER-HANDLER is called with T when a peer
appears and with NIL when it vanishes, and its address: see FORGET-PEER and PEER-TIMEOUT-MS. All run on
one thread, which has them in the order in which they happened; what happens while some hundred wait is
lost.

ERROR-HANDLER is called with each error in one of these, before that is left; the default prints
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
