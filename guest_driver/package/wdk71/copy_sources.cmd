@echo off
rem SPDX-License-Identifier: MIT
rem Copies what the sources file lists into this folder, where build.exe looks.
copy /y "%~dp0..\..\driver\*.cpp" "%~dp0" || exit /b 1
copy /y "%~dp0..\..\..\lib\*.cpp" "%~dp0" || exit /b 1
