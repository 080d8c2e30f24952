// SPDX-License-Identifier: MIT
//
// The components that print through DbgPrintEx, in the order of their numbers (the
// DPFLTR_..._ID of Windows 7's dpfilter.h; not those of its later end).
// clang-format off
#define KD_COMPONENTS(F)                                                                           \
    F(SYSTEM)                                                                                      \
    F(SMSS) F(SETUP) F(NTFS) F(FSTUB) F(CRASHDUMP) F(CDAUDIO) F(CDROM) F(CLASSPNP) F(DISK)         \
        F(REDBOOK) F(STORPROP) F(SCSIPORT) F(SCSIMINIPORT) F(CONFIG) F(I8042PRT) F(SERMOUSE)       \
            F(LSERMOUS) F(KBDHID) F(MOUHID) F(KBDCLASS) F(MOUCLASS) F(TWOTRACK) F(WMILIB) F(ACPI)  \
                F(AMLI) F(HALIA64) F(VIDEO) F(SVCHOST) F(VIDEOPRT) F(TCPIP) F(DMSYNTH) F(NTOSPNP)  \
                    F(FASTFAT) F(SAMSS) F(PNPMGR) F(NETAPI) F(SCSERVER) F(SCCLIENT) F(SERIAL)      \
                        F(SERENUM) F(UHCD) F(RPCPROXY) F(AUTOCHK) F(DCOMSS) F(UNIMODEM) F(SIS)     \
                            F(FLTMGR) F(WMICORE) F(BURNENG) F(IMAPI) F(SXS) F(FUSION) F(IDLETASK)  \
                                F(SOFTPCI) F(TAPE) F(MCHGR) F(IDEP) F(PCIIDE) F(FLOPPY) F(FDC) F(  \
                                    TERMSRV) F(W32TIME) F(PREFETCHER) F(RSFILTER) F(FCPORT) F(PCI) \
                                    F(DMIO) F(DMCONFIG) F(DMADMIN) F(WSOCKTRANSPORT) F(VSS)        \
                                        F(PNPMEM) F(PROCESSOR) F(DMSERVER) F(SR) F(INFINIBAND)     \
                                            F(IHVDRIVER) F(IHVVIDEO) F(IHVAUDIO) F(IHVNETWORK)     \
                                                F(IHVSTREAMING) F(IHVBUS) F(HPS) F(RTLTHREADPOOL)  \
                                                    F(LDR) F(TCPIP6) F(ISAPNP) F(SHPC) F(STORPORT) \
                                                        F(STORMINIPORT) F(PRINTSPOOLER)            \
                                                            F(VSSDYNDISK) F(VERIFIER) F(VDS)       \
                                                                F(VDSBAS) F(VDSDYN) F(VDSDYNDR)    \
                                                                    F(VDSLDR) F(VDSUTIL)           \
                                                                        F(DFRGIFC) F(DEFAULT)      \
                                                                            F(MM) F(DFSC) F(WOW64)
// clang-format on
