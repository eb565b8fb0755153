;;;; The binding's numbers, structs and functions against the header's.

(in-package #:dcf-thunderbolt/tests)

(in-suite bindings)

(defun kind (type)
  "SIGNED, UNSIGNED or POINTER, from the compiler's view of the header."
  (let ((name (symbol-name (cffi::canonicalize-foreign-type type))))
    (cond ((string= name "POINTER") :pointer)
          ((starts-with-p "UNSIGNED" name) :unsigned)
          (t :signed))))

(defun same-names (header binding)
  "Checks that two lists have the same names."
  (is (null (set-exclusive-or header binding :test #'string=))
      "not in both: ~S" (set-exclusive-or header binding :test #'string=)))

(test constants
  "Every number of the header, and no other."
  (let ((constants (compiled-header)))
    (is (> (length constants) 40))
    (same-names (mapcar #'first constants) (mapcar #'ffi::c-name ffi::*constants*))
    (dolist (name ffi::*constants*)
      (is (eql (symbol-value name)
               (second (assoc (ffi::c-name name) constants :test #'string=)))
          "~A" name))))

(defun c-member (slot)
  (substitute #\_ #\- (string-downcase slot)))

(defun c-structure (name)
  (format nil "dcf_tb_~A" (c-member name)))

(defun slot-facts (structure slot)
  "CFFI's offset, size and kind of a slot."
  (destructuring-bind (name type &key (count 1) &allow-other-keys) slot
    (list (cffi:foreign-slot-offset `(:struct ,structure) name)
          (* count (cffi:foreign-type-size type))
          (if (= count 1) (kind type) :pointer))))

(test structures
  "Every member of every struct, its offset, size and kind; and the size of the struct."
  (let ((structures (nth-value 1 (compiled-header))))
    (is (= 8 (length structures)))
    (same-names (mapcar #'first structures)
                (loop for (name) in ffi::*structures* collect (c-structure name)))
    (loop for (name . slots) in ffi::*structures*
          for (nil size . members) = (assoc (c-structure name) structures :test #'string=)
          do (is (eql size (cffi:foreign-type-size `(:struct ,name))) "size of ~A" name)
             (same-names (mapcar #'first members)
                         (loop for (slot) in slots collect (c-member slot)))
             (loop for slot in slots
                   for (nil . facts) = (assoc (c-member (first slot)) members :test #'string=)
                   do (is (equal facts (slot-facts name slot))
                          "~A ~A: ~S" name (first slot) facts)))))

(test functions
  "Every function, the kind and size of its result and of each parameter."
  (let ((functions (nth-value 2 (compiled-header))))
    (is (> (length functions) 30))
    (same-names (mapcar #'first functions)
                (loop for (name) in ffi::*functions* collect (ffi::c-name name)))
    (loop for (name result . arguments) in ffi::*functions*
          for (nil . types) = (assoc (ffi::c-name name) functions :test #'string=)
          do (is (equal types
                        (loop for type in (cons result (mapcar #'second arguments))
                              collect (if (eq type :void)
                                          (list :nothing 0)
                                          (list (kind type) (cffi:foreign-type-size type)))))
                 "~A: ~S" name types))))

(test settings
  "Every member of struct dcf_tb_config can be passed to OPEN-TRANSPORT, and reaches the library."
  (is (subsetp '(:control-port :buffer-size :tcp-nodelay :stream-dead-after-ms)
               (dcf-thunderbolt::settings)))
  (cffi:with-foreign-object (config '(:struct ffi:config))
    (let ((size (cffi:foreign-type-size '(:struct ffi:config))))
      (dolist (setting (dcf-thunderbolt::settings))
        (is (= ffi:+ok+ (ffi:%config-init config size)))
        (flet ((value () (cffi:foreign-slot-value config '(:struct ffi:config) setting)))
          (let ((booleanp (dcf-thunderbolt::boolean-setting-p setting))
                (default (value)))
            (dcf-thunderbolt::fill-config config (list setting (if booleanp nil 77)))
            (is (= (if booleanp 0 77) (value)) "~A" setting)
            (dcf-thunderbolt::fill-config config (list setting (if booleanp t nil)))
            (is (= (if booleanp 1 77) (value)) "~A" setting)
            (is (integerp default)))))))
  (with-loopback (transport :receive-queue 3 :tcp-nodelay nil :max-streams nil)
    (dotimes (i 5)
      (send-message transport (octets i) (control-peer transport)))
    (eventually (= 2 (getf (statistics transport) :messages-dropped))))
  (signals invalid-configuration-error
    (open-transport :interface "a-name-that-is-too-long")))

(test version
  "The system has the version of the library that it belongs to."
  (is (string= (library-version)
               (asdf:component-version (asdf:find-system "dcf-thunderbolt")))))
