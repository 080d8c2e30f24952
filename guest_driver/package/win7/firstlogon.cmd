@echo off
rem SPDX-License-Identifier: MIT
rem Windows 7's first logon: makes the installed system a guest of the rig, and says on COM1 what
rem it does (">" comes first: a digit before it would be a handle's). A step that fails ends it:
rem the machine stays as it is, to be looked at.
setlocal
set HERE=%~dp0
if not defined VQ7_COM set VQ7_COM=\\.\COM1
set ARCH=x64
if /i "%PROCESSOR_ARCHITECTURE%"=="x86" if not defined PROCESSOR_ARCHITEW6432 set ARCH=x86
set KIT=%HERE%%ARCH%
set CONTROL=HKLM\SYSTEM\CurrentControlSet\Control
set SERVICE=HKLM\SYSTEM\CurrentControlSet\Services\vq7test
set WER=HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting
set UPDATE=HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update

>%VQ7_COM% echo vq7-setup phase=firstlogon

call :say root
certutil -f -addstore Root "%HERE%vq7.cer"
if not "%errorlevel%"=="0" goto :failed
call :say publisher
certutil -f -addstore TrustedPublisher "%HERE%vq7.cer"
if not "%errorlevel%"=="0" goto :failed

call :say testsigning
bcdedit /set testsigning on
if not "%errorlevel%"=="0" goto :failed
call :say debugger
bcdedit /dbgsettings serial debugport:2 baudrate:115200
if not "%errorlevel%"=="0" goto :failed
bcdedit /debug on
if not "%errorlevel%"=="0" goto :failed
call :say recovery
bcdedit /set recoveryenabled no
if not "%errorlevel%"=="0" goto :failed
bcdedit /set bootstatuspolicy ignoreallfailures
if not "%errorlevel%"=="0" goto :failed

call :say power
powercfg -change -standby-timeout-ac 0
if not "%errorlevel%"=="0" goto :failed
powercfg -change -monitor-timeout-ac 0
if not "%errorlevel%"=="0" goto :failed
powercfg -h off
if not "%errorlevel%"=="0" goto :failed

call :say registry
reg add "%UPDATE%" /v AUOptions /t REG_DWORD /d 1 /f
if not "%errorlevel%"=="0" goto :failed
reg add "%WER%" /v DontShowUI /t REG_DWORD /d 1 /f
if not "%errorlevel%"=="0" goto :failed
reg add %CONTROL%\Windows /v ErrorMode /t REG_DWORD /d 2 /f
if not "%errorlevel%"=="0" goto :failed
reg add "HKCU\Control Panel\Desktop" /v ScreenSaveActive /t REG_SZ /d 0 /f
if not "%errorlevel%"=="0" goto :failed
reg add %CONTROL%\CrashControl /v CrashDumpEnabled /t REG_DWORD /d 1 /f
if not "%errorlevel%"=="0" goto :failed
reg add %CONTROL%\CrashControl /v AutoReboot /t REG_DWORD /d 0 /f
if not "%errorlevel%"=="0" goto :failed
reg add HKLM\SYSTEM\CurrentControlSet\Services\msahci /v Start /t REG_DWORD /d 0 /f
if not "%errorlevel%"=="0" goto :failed

rem 3010: done, after a restart, which comes anyway.
call :say driver
pnputil -i -a "%KIT%\vq7test.inf"
if not "%errorlevel%"=="0" if not "%errorlevel%"=="3010" goto :failed

call :say agent
copy /y "%KIT%\vq7agent.exe" "%SystemRoot%\System32\"
if not "%errorlevel%"=="0" goto :failed
"%SystemRoot%\System32\vq7agent.exe" install
if not "%errorlevel%"=="0" goto :failed

if not exist "%HERE%verifier.txt" goto :done
rem The flags are bits: special pool, forced IRQL, pool tracking, I/O, deadlocks, DMA, security and
rem miscellaneous checks ("Verifier", hh875581). 2: done, after a restart. Then the framework's own
rem ("Registry Values for Debugging WDF Drivers"): VerifierOn, which implies VerifyOn, and bit 0 of
rem EnhancedVerifierOptions, IRQL and critical regions at the end of each callback.
call :say verifier
verifier /flags 0x9bb /driver vq7test.sys
if not "%errorlevel%"=="0" if not "%errorlevel%"=="2" goto :failed
reg add %SERVICE%\Parameters\Wdf /v VerifierOn /t REG_DWORD /d 1 /f
if not "%errorlevel%"=="0" goto :failed
reg add %SERVICE%\Parameters\Wdf /v EnhancedVerifierOptions /t REG_DWORD /d 1 /f
if not "%errorlevel%"=="0" goto :failed

:done
>%VQ7_COM% echo vq7-setup phase=done
shutdown /s /t 0
exit /b 0

:failed
>%VQ7_COM% echo vq7-setup failed step=%STEP% code=%errorlevel%
exit /b 1

:say
set STEP=%1
>%VQ7_COM% echo vq7-setup step=%STEP%
exit /b 0
