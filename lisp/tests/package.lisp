;;;; The tests' package and suites.

(defpackage #:dcf-thunderbolt/tests
  (:use #:common-lisp #:fiveam #:dcf-thunderbolt)
  (:local-nicknames (#:ffi #:dcf-thunderbolt/ffi)
                    (#:plain #:dcf-thunderbolt/plain-peer)
                    (#:bt #:bordeaux-threads))
  (:export #:run-suites #:run-by-name))

(in-package #:dcf-thunderbolt/tests)

(def-suite loopback :description "What one host can show.")
(def-suite bindings :in loopback :description "The C interface as the compiler sees it.")
(def-suite documentation :in loopback :description "Docstrings.")
(def-suite library :in loopback :description "Finding the shared library.")
(def-suite life :in loopback :description "Opening and closing transports.")
(def-suite messages :in loopback :description "Control messages.")
(def-suite streams :in loopback :description "Data streams as Lisp streams.")
(def-suite files :in loopback :description "Files over data streams.")
(def-suite round-trips :in loopback :description "Round trips and statistics.")
(def-suite handlers :in loopback :description "Handlers and their threads.")
(def-suite events :in loopback :description "Log records and link changes.")
(def-suite failures :in loopback :description "Conditions and restarts.")
(def-suite interrupts :in loopback :description "Interrupted waits leave all as it was.")
(def-suite image :in loopback :description "Saved images.")
(def-suite compat :in loopback :description "HydraMesh's package.")

;;; It uses the default ports, which may be taken here.
(def-suite readme :description "The quick start, as it is printed.")

;;; These need a second host, and the test driver to make it.
(def-suite two-hosts :description "The library on both hosts.")
(def-suite wire :description "A peer of plain sockets on the other host.")
