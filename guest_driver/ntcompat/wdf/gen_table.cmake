# SPDX-License-Identifier: MIT
# Makes wdf_functions.inc from functions.tsv (index, name, in table order):
# WDF_FUNCTION(index, name) once for each entry of the KMDF 1.9 table.
#
#   cmake -DTABLE=functions.tsv -DOUT=wdf_functions.inc -P gen_table.cmake
file(STRINGS ${TABLE} lines)
set(text "// Generated from functions.tsv.\n")
set(expected 0)
foreach(line IN LISTS lines)
  if(NOT line MATCHES "^([0-9]+)\t(Wdf[A-Za-z0-9]+)$")
    message(FATAL_ERROR "${TABLE}: not 'index<TAB>name': ${line}")
  endif()
  if(NOT CMAKE_MATCH_1 EQUAL expected)
    message(FATAL_ERROR "${TABLE}: index ${CMAKE_MATCH_1}, expected ${expected}")
  endif()
  string(APPEND text "WDF_FUNCTION(${CMAKE_MATCH_1}, ${CMAKE_MATCH_2})\n")
  math(EXPR expected "${expected} + 1")
endforeach()
if(NOT expected EQUAL 396)
  message(FATAL_ERROR "${TABLE}: ${expected} functions, KMDF 1.9 has 396")
endif()
file(WRITE ${OUT} "${text}")
