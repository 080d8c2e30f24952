// SPDX-License-Identifier: MIT
//
// What clang's instrumentation wants of a runtime: this name, which each object refers to so
// that the linker takes its runtime library. There is none here. The counters are in the
// image's section .lprfc, where whoever reads the guest's memory takes them.
int __llvm_profile_runtime;

// The byte that LLVM's own runtime puts before the names of a PE image's functions: llvm-cov
// skips it.
__attribute__((section(".lprfn$A"), used)) const char CoverageNamesStart = 0;
