;;;; Settings that change while a transport runs.

(in-package #:dcf-thunderbolt)

(defparameter *log-levels*
  (list (cons :debug +log-debug+) (cons :info +log-info+)
        (cons :warn +log-warn+) (cons :error +log-error+))
  "The values of :LOG-LEVEL.")

(defun option (setting &optional (value nil value-p))
  "The option number of a SETTING that can change."
  (let ((constant (and (keywordp setting)
                       (find-symbol (format nil "+OPTION-~A+" setting) '#:dcf-thunderbolt/ffi))))
    (if (and constant (boundp constant))
        (symbol-value constant)
        (error (make-error +err-config-invalid+
                           (if (or (member setting (slots 'config)) (eq setting :interface))
                               (format nil "~S~@[ cannot become ~A: it~] is fixed when a transport ~
                                            is opened; close it and open another"
                                       setting (and value-p (format nil "~S" value)))
                               (format nil "~S is no setting of a transport" setting)))))))

(defun transport-setting (transport setting)
  "The current value of SETTING: one of :BUSY-POLL-US, :RECEIVE-QUEUE, :RECEIVE-QUEUE-BYTES,
:MAX-STREAMS, :MAX-SILENT-STREAMS, :SILENT-AFTER-MS, :CONNECT-TIMEOUT-MS, :STREAM-DEAD-AFTER-MS, in the
units of OPEN-TRANSPORT; :ALLOW-ANY-SOURCE, T or NIL; :LOG-LEVEL, one of :DEBUG, :INFO, :WARN and :ERROR.

(SETF TRANSPORT-SETTING) changes it, at once and for what begins afterwards; nothing that goes on is
ended. The other settings are fixed when a transport is opened: INVALID-CONFIGURATION-ERROR, as for a
value that OPEN-TRANSPORT would refuse."
  (let ((number (cffi:with-foreign-object (value :uint64)
                  (call (%get-option (handle transport) (option setting) value))
                  (cffi:mem-ref value :uint64))))
    (cond ((eq setting :log-level) (car (rassoc number *log-levels*)))
          ((boolean-setting-p setting) (/= 0 number))
          (t number))))

(defun (setf transport-setting) (value transport setting)
  (let* ((option (option setting value))
         (number (cond ((eq setting :log-level) (or (cdr (assoc value *log-levels*)) value))
                       ((boolean-setting-p setting) (if value 1 0))
                       (t value))))
    (unless (typep number '(unsigned-byte 64))
      (error (make-error +err-config-invalid+
                         (format nil "~S cannot become ~S: it is a number from 0 on~@[, or one of ~
                                      ~{~S~^, ~}~]"
                                 setting value
                                 (and (eq setting :log-level) (mapcar #'car *log-levels*))))))
    (call (%set-option (handle transport) option number))
    value))
