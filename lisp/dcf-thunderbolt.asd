;;;; libdcf_thunderbolt for Common Lisp, and a drop-in for HydraMesh's transport: see README.md.

(defsystem "dcf-thunderbolt"
  :description "Messages, streams and round trips over a Thunderbolt or USB4 cable between two hosts"
  :version "1.0.0"
  :license "LGPL-3.0-or-later"
  :depends-on ("cffi" "bordeaux-threads" "trivial-gray-streams" "trivial-garbage")
  :pathname "src/"
  :serial t
  :components ((:file "package")
               (:module "ffi"
                :serial t
                :components ((:file "definitions")
                             (:file "constants")
                             (:file "structures")))
               (:file "conditions")
               (:file "library")
               (:module "calls"
                :pathname "ffi/"
                :components ((:file "functions")))
               (:file "calling")
               (:file "octets")
               (:file "events")
               (:file "transport")
               (:file "handlers")
               (:file "messages")
               (:file "stream")
               (:file "stream-reading")
               (:file "stream-writing")
               (:file "files")
               (:file "round-trips")
               (:file "statistics")
               (:file "opening")
               (:file "settings")
               (:file "image"))
  :in-order-to ((test-op (test-op "dcf-thunderbolt/tests"))))

(defsystem "dcf-thunderbolt/compat"
  :description "HydraMesh's DCF.TRANSPORT.THUNDERBOLT, over libdcf_thunderbolt"
  :version "1.0.0"
  :license "LGPL-3.0-or-later"
  :depends-on ("dcf-thunderbolt")
  :pathname "compat/"
  :serial t
  :components ((:file "package")
               (:file "conditions")
               (:file "transport")
               (:file "operations")
               (:file "registration"))
  :in-order-to ((test-op (test-op "dcf-thunderbolt/tests"))))

(defsystem "dcf-thunderbolt/plain-peer"
  :description "A peer of plain sockets, for the tests: it does not load the library"
  :license "LGPL-3.0-or-later"
  :depends-on ("cffi" "bordeaux-threads")
  :pathname "tests/plain-peer/"
  :serial t
  :components ((:file "sockets")
               (:file "peer")))

(defsystem "dcf-thunderbolt/tests"
  :description "Tests of all this, on the loopback interface; between two hosts with a driver's help"
  :license "LGPL-3.0-or-later"
  :depends-on ("dcf-thunderbolt" "dcf-thunderbolt/compat" "dcf-thunderbolt/plain-peer" "fiveam")
  :pathname "tests/"
  :serial t
  :components ((:file "package")
               (:file "running")
               (:file "helpers")
               (:file "header")
               (:file "bindings")
               (:file "documentation")
               (:file "library")
               (:file "life")
               (:file "messages")
               (:file "streams")
               (:file "files")
               (:file "round-trips")
               (:file "handlers")
               (:file "events")
               (:file "failures")
               (:file "interrupts")
               (:file "image")
               (:file "hydramesh-code")
               (:file "compat")
               (:file "readme")
               (:file "two-hosts"))
  :perform (test-op (operation system)
             (symbol-call '#:dcf-thunderbolt/tests '#:run-suites
                          (list (find-symbol* '#:loopback '#:dcf-thunderbolt/tests)))))
