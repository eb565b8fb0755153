;;;; Conditions and restarts.

(in-package #:dcf-thunderbolt/tests)

(in-suite failures)

(test every-code-has-its-class
  (flet ((class-of-code (code)
           (dcf-thunderbolt::error-class code nil)))
    (is (eq 'timeout-error (class-of-code ffi:+err-timeout+)))
    (is (eq 'closed-error (class-of-code ffi:+err-invalid-handle+)))
    (is (eq 'dcf-thunderbolt-error (class-of-code ffi:+err-panic+)))
    (is (eq 'dcf-thunderbolt-error (class-of-code 12345)) "one of a later library")
    ;; Those that no program handles in its own way.
    (let ((plain (loop for name in ffi::*constants*
                       when (and (search "ERR-" (string name))
                                 (eq 'dcf-thunderbolt-error (class-of-code (symbol-value name))))
                         collect name)))
      (is (null (set-exclusive-or plain '(ffi:+err-null-pointer+ ffi:+err-buffer-too-small+
                                          ffi:+err-invalid-message+ ffi:+err-out-of-range+
                                          ffi:+err-panic+)))
          "~S" plain))))

(test under-one-root
  (do-external-symbols (symbol '#:dcf-thunderbolt)
    (when (and (find-class symbol nil) (subtypep symbol 'condition))
      (is-true (subtypep symbol 'dcf-thunderbolt-error) "~S" symbol)))
  (is-true (subtypep 'connection-refused-error 'connection-error))
  (is-true (subtypep 'would-block-error 'timeout-error)))

(test code-errno-and-text
  (handler-case (progn (open-transport :interface "nonexistent0")
                       (fail "there is no such interface"))
    (interface-not-found-error (condition)
      (is (= ffi:+err-interface-not-found+ (error-code condition)))
      (is-true (search "nonexistent0" (error-message condition)))
      (is (string= (error-message condition) (princ-to-string condition)))))
  (with-loopback (transport)
    (multiple-value-bind (control data) (transport-ports transport)
      (handler-case (progn (open-transport :interface "lo" :control-port control :data-port 0)
                           (fail "the port was taken twice"))
        (address-in-use-error (condition)
          (is (= 98 (error-errno condition)))
          (is-true (search (princ-to-string control) (error-message condition)))))
      (signals address-in-use-error
        (open-transport :interface "lo" :control-port 0 :data-port data)))
    (handler-case (progn (send-message transport (octets 1) "not a peer")
                         (fail "that is no peer"))
      (invalid-address-error (condition)
        (is (null (error-errno condition)))
        (is-true (search "not a peer" (error-message condition)))))
    (signals connection-refused-error (open-data-stream transport "[::1%lo]:1"))))

(test failures-on-streams-are-stream-errors
  (with-streams (near far)
    (close far)
    (handler-case (loop (write-byte 1 near)
                        (force-output near))
      (stream-error (condition)
        (is (typep condition 'connection-error))
        (is (eq near (stream-error-stream condition)))))
    (close near :abort t)))

(test try-again-makes-the-call-once-more
  (let ((taken (open-transport :interface "lo" :control-port 0 :data-port 0))
        (tries 0))
    (multiple-value-bind (control data) (transport-ports taken)
      (handler-bind ((address-in-use-error (lambda (condition)
                                             (incf tries)
                                             (close-transport taken)
                                             (try-again condition))))
        (with-transport (transport :interface "lo" :control-port control :data-port data)
          (is-true (transport-open-p transport))
          (is (= 1 tries))))))
  (is (null (try-again)) "nothing failed"))

(test try-again-goes-on-where-a-write-stopped
  (with-streams (near far)
    (setf (data-stream-timeout near) 0.02)
    (let* ((octets (pattern 20000000))
           (read (make-array 20000000 :element-type '(unsigned-byte 8)))
           (tries 0)
           (reading nil))
      (handler-bind ((timeout-error (lambda (condition)
                                      (when (= 1 (incf tries))
                                        (setf reading (in-thread (read-sequence read far))))
                                      (try-again condition))))
        (write-sequence octets near)
        (force-output near))
      (is (plusp tries))
      (is (= 20000000 (funcall reading)))
      (is (equalp octets read)))))

(test octets-of-a-failed-flush-are-written-next
  (with-streams (near far)
    (setf (data-stream-timeout near) 0.02)
    (let ((total 0))
      ;; Small pieces, until the buffers of both ends are full.
      (handler-case (loop
                      (write-sequence (pattern 10000 total) near)
                      (incf total 10000))
        (timeout-error ()))
      (setf (data-stream-timeout near) nil)
      (let* ((read (make-array total :element-type '(unsigned-byte 8)))
             (reading (in-thread (read-sequence read far))))
        (finish-output near)
        (is (= total (funcall reading)))
        (is (loop for start from 0 below total by 10000
                  always (equalp (pattern 10000 start) (subseq read start (+ start 10000)))))))))
