;;;; Statistics.

(in-package #:dcf-thunderbolt)

(defun figures (structure truths fill)
  "What FILL writes to a foreign STRUCTURE that begins with its size, as a property list. TRUTHS are
the slots that are booleans."
  (let ((type `(:struct ,structure)))
    (cffi:with-foreign-pointer (pointer (cffi:foreign-type-size type) size)
      ;; An older library leaves unknown members unchanged.
      (dotimes (at size)
        (setf (cffi:mem-ref pointer :uint8 at) 0))
      (setf (cffi:foreign-slot-value pointer type :struct-size) size)
      (funcall fill pointer)
      (loop for slot in (remove :struct-size (slots structure))
            for value = (cffi:foreign-slot-value pointer type slot)
            collect slot
            collect (if (member slot truths) (/= 0 value) value)))))

(defun statistics (transport)
  "The statistics of TRANSPORT since it was opened, or since the last RESET-STATISTICS, as a property
list: :LINK-UP is T or NIL; the others are numbers named as in docs/REFERENCE.md,
:MESSAGES-SENT for messages_sent and so on. Names that end in -NS are nanoseconds."
  (figures 'stats '(:link-up)
           (lambda (stats) (call (%get-stats (handle transport) stats)))))

(defun data-stream-statistics (stream)
  "The statistics of STREAM since it was opened, and the state of its connection, as a property list:
:CONNECTED and :STALLED are T or NIL; the others are numbers named as the members of
dcf_tb_stream_stats. What STREAM has collected and not sent yet is not counted."
  (figures 'stream-stats '(:connected :stalled)
           (lambda (stats)
             (calling ((%stream-get-stats (stream-handle stream) stats) :stream stream)
               (+ok+ t)))))

(defun reset-statistics (transport)
  "Sets the counters and the uptime to 0."
  (call (%reset-stats (handle transport)))
  nil)

(defun transport-link-up-p (transport)
  "Whether the interface of TRANSPORT can carry traffic at the moment. While it cannot, calls are a
LINK-DOWN-ERROR; when the cable is back the same transport works on."
  (getf (statistics transport) :link-up))

(defun wait-link (transport &key (up t) timeout)
  "Waits until the link of TRANSPORT is up, or with UP NIL until it is down. Returns T, or NIL when it
was not so within TIMEOUT seconds."
  (in-slices (slice timeout)
    (calling ((%wait-link (handle transport) (if up 1 0) slice))
      (+ok+ t)
      ((+err-timeout+ +would-block+) nil))))

(defun library-version ()
  "The version of the loaded library, for example \"1.0.0\"."
  (load-library)
  (values (cffi:foreign-string-to-lisp (%version))))
