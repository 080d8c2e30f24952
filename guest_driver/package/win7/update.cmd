@echo off
rem SPDX-License-Identifier: MIT
rem On the update disc of the rig: puts this disc's driver and agent into a Windows 7 that has older
rem ones. The agent's service starts it, in the place of serving COM1, when Windows starts with the
rem disc in a drive. What it does it says on COM1, as firstlogon.cmd does.
setlocal
set HERE=%~dp0
if not defined VQ7_COM set VQ7_COM=\\.\COM1
if not defined VQ7_TRIES set VQ7_TRIES=30
set ARCH=x64
if /i "%PROCESSOR_ARCHITECTURE%"=="x86" if not defined PROCESSOR_ARCHITEW6432 set ARCH=x86
set KIT=%HERE%%ARCH%
set AGENT=%SystemRoot%\System32\vq7agent.exe
set SERVICE=HKLM\SYSTEM\CurrentControlSet\Services\vq7test

>%VQ7_COM% echo vq7-setup phase=update

call :say root
certutil -f -addstore Root "%HERE%vq7.cer"
set CODE=%errorlevel%
if not "%CODE%"=="0" goto :failed
call :say publisher
certutil -f -addstore TrustedPublisher "%HERE%vq7.cer"
set CODE=%errorlevel%
if not "%CODE%"=="0" goto :failed

rem The service is about to end; until then its file can't be written.
call :say agent
set TRIES=0
:copy
copy /y "%KIT%\vq7agent.exe" "%AGENT%"
set CODE=%errorlevel%
if "%CODE%"=="0" goto :copied
set /a TRIES=TRIES+1
if "%TRIES%"=="%VQ7_TRIES%" goto :failed
ping -n 2 127.0.0.1 >nul
goto :copy
:copied
"%AGENT%" install
set CODE=%errorlevel%
if not "%CODE%"=="0" goto :failed

rem 3010: done, after a restart, which comes anyway.
call :say driver
"%AGENT%" update "%KIT%\vq7test.inf"
set CODE=%errorlevel%
if not "%CODE%"=="0" if not "%CODE%"=="3010" goto :failed

if not exist "%HERE%verifier.txt" goto :done
rem The flags are bits: special pool, forced IRQL, pool tracking, I/O, deadlocks, DMA, security and
rem miscellaneous checks ("Verifier", hh875581). 2: done, after a restart. Then the framework's own
rem ("Registry Values for Debugging WDF Drivers"): VerifierOn, which implies VerifyOn, and bit 0 of
rem EnhancedVerifierOptions, IRQL and critical regions at the end of each callback.
call :say verifier
verifier /flags 0x9bb /driver vq7test.sys
set CODE=%errorlevel%
if not "%CODE%"=="0" if not "%CODE%"=="2" goto :failed
reg add %SERVICE%\Parameters\Wdf /v VerifierOn /t REG_DWORD /d 1 /f
set CODE=%errorlevel%
if not "%CODE%"=="0" goto :failed
reg add %SERVICE%\Parameters\Wdf /v EnhancedVerifierOptions /t REG_DWORD /d 1 /f
set CODE=%errorlevel%
if not "%CODE%"=="0" goto :failed

:done
>%VQ7_COM% echo vq7-setup phase=done
shutdown /s /t 0
exit /b 0

:failed
>%VQ7_COM% echo vq7-setup failed step=%STEP% code=%CODE%
exit /b 1

:say
set STEP=%1
>%VQ7_COM% echo vq7-setup step=%STEP%
exit /b 0
